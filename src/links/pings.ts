import type { WebSocket } from 'ws'
import type { SocketStream } from './socket-stream.js'

/** Looks between two questions of a side that has no need to ask: a few minutes. */
const ROUND_TRIP_EVERY = 20

export interface PingOptions {
  readonly socket: WebSocket
  /** What comes over it is a sign of life as well. */
  readonly stream: SocketStream
  /** A side that heard nothing for so long asks, and takes the other for dead when nothing came in as long again. */
  readonly everyMs: number
  /**
   * The lower side asks each time, so that the upper one hears of it; that one asks now and then, to know the round trip.
   */
  readonly asksAlways: boolean
}

/** Whoever the pings are for. */
export interface Pinged {
  answeredPing(rttMs: number): void
  /** It gave no sign of life; never told twice. */
  fellSilent(): void
}

/**
 * Watches over the other side of a link by pings of the WebSocket, which ws answers: those of HTTP/2 would go through
 * four more layers at each end, and with thousands of links they are all that an idle relay does. Begins at a random
 * moment, so that thousands of links do not all ask at once.
 */
export class Pings {
  /** Pings and pongs that came. */
  #heard = 0
  #seenSigns = -1
  #isWaiting = false
  #looks = 0
  /** When what was not answered yet was asked. */
  #askedAtMs: number | undefined
  #timer: NodeJS.Timeout

  constructor(
    private readonly options: PingOptions,
    private readonly told: Pinged
  ) {
    options.socket.on('ping', () => {
      this.#heard += 1
    })
    options.socket.on('pong', () => this.#noteAnswer())
    this.#timer = setTimeout(begin, Math.random() * options.everyMs, this).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  /** To be called once, by the first timer; a second one is then used again and again. */
  begin(): void {
    this.#timer = setInterval(look, this.options.everyMs, this).unref()
    this.look()
  }

  look(): void {
    const { socket, stream, asksAlways } = this.options
    if (socket.readyState !== socket.OPEN) {
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
    if (!this.#isWaiting) return
    this.#askedAtMs = performance.now()
    socket.ping()
  }

  #noteAnswer(): void {
    this.#heard += 1
    if (this.#askedAtMs === undefined) return
    this.told.answeredPing(performance.now() - this.#askedAtMs)
    this.#askedAtMs = undefined
  }
}

// One function for all, with the pings as its argument.
function begin(pings: Pings): void {
  pings.begin()
}

function look(pings: Pings): void {
  pings.look()
}
