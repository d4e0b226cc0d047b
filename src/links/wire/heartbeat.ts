import { anyWaitUpTo } from '../../values/time/backoff.js'
import type { LinkStream, Transport } from './transport.js'

/** Looks between two questions of a side that has no need to ask: a few minutes. */
const ROUND_TRIP_EVERY = 20

export interface HeartbeatOptions {
  readonly transport: Pick<Transport, 'isOpen' | 'onSignOfLife'>
  /** The stream whose bytes are signs of life as well. */
  readonly stream: Pick<LinkStream, 'readBytes'>
  /** A side that heard nothing for so long asks, and takes the other for dead when nothing came in as long again. */
  readonly everyMs: number
  /**
   * The lower side asks each time, so that the upper one hears of it; that one asks now and then, to know the round trip.
   */
  readonly asksAlways: boolean
}

/** A connection that the heartbeat watches. */
export interface WatchedConnection {
  /** Asks the other side for a sign of life. */
  ask(): void
  /** Called when there was no sign of life; never twice. */
  fellSilent(): void
}

/**
 * Watches over the other side of a link. The lower side asks by pings of the transport, which ws answers for a WebSocket: those of
 * HTTP/2 go through four more layers at each end, and with thousands of links they are all that an idle relay does. The
 * upper side, which asks little, asks by HTTP/2: so a lower side that is stuck in it is noticed as well. Begins at a
 * random moment, so that thousands of links do not all ask at once.
 */
export class Heartbeat {
  /** Pings and pongs that came. */
  #heard = 0
  #seenSigns = -1
  #isWaiting = false
  #looks = 0
  #timer: NodeJS.Timeout

  constructor(
    private readonly options: HeartbeatOptions,
    private readonly told: WatchedConnection
  ) {
    options.transport.onSignOfLife(() => {
      this.#heard += 1
    })
    this.#timer = setTimeout(begin, anyWaitUpTo(options.everyMs), this).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  /** Begins. Called once, by the first timer; a second one is then used again and again. */
  begin(): void {
    this.#timer = setInterval(look, this.options.everyMs, this).unref()
    this.look()
  }

  look(): void {
    const { transport, stream, asksAlways } = this.options
    if (!transport.isOpen) {
      this.stop()
      return
    }
    const signs = stream.readBytes + this.#heard
    const isSilent = signs === this.#seenSigns
    if (isSilent && this.#isWaiting) {
      this.stop()
      this.told.fellSilent()
      return
    }
    this.#isWaiting = isSilent || asksAlways || this.#looks % ROUND_TRIP_EVERY === 0
    this.#looks += 1
    this.#seenSigns = signs
    if (this.#isWaiting) this.told.ask()
  }
}

// One function for all, with the heartbeat as its argument.
function begin(heartbeat: Heartbeat): void {
  heartbeat.begin()
}

function look(heartbeat: Heartbeat): void {
  heartbeat.look()
}
