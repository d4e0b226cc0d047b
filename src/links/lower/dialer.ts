import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LinkToUpper } from '../../hops/hop.js'
import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { type Backoff, backoffMs } from '../../values/time/backoff.js'
import { LinkRefusedError } from '../wire/challenge.js'
import { MAX_LANES } from '../wire/protocol.js'
import { type LaneKind, LaneOpener } from './lane-opener.js'
import { LINK_BACKOFF, SETTLED_LINK_MS } from './link-backoff.js'
import type { LowerLink } from './lower-link.js'
import { type HandshakeOptions, performHandshake } from './lower-link.js'
import { openWebSocket } from './open-web-socket.js'
import { CostlyUpperError, type Upper } from './upper.js'

export interface DialerOptions {
  /** Finds the upper side, anew for each attempt, so that a renewed certificate or address counts at once. */
  readonly upper: () => Promise<Upper>
  readonly handshake: () => Promise<HandshakeOptions>
  readonly end: LowerLink
  /** Chooses where the next attempt goes, which `upper` then gives. */
  readonly follower?: LinkFollower | undefined
  /** The kind of lanes, anew for each. @default 'auto' */
  readonly lane?: (() => LaneKind) | undefined
  readonly logger: Logger
  readonly now?: () => number
  readonly random?: () => number
  readonly backoff?: Backoff
  /** Resolves after so long, or when the signal aborts. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>
}

/** Follows the dialer: it is told of each attempt, and waited for. Does not reject. */
export interface LinkFollower {
  opened(): Promise<void>
  /**
   * @param refusedBy id of the relay that refused the link; undefined when it was lost, or nobody could be reached
   * @returns whether there is reason now to try again soon
   */
  ended(refusedBy: string | undefined, signal: AbortSignal): Promise<boolean>
}

interface Ending {
  /** Why there is no link any more. */
  readonly reason: string
  readonly refusedBy?: string
}

export interface LinkStatus {
  readonly isConnected: boolean
  /** The time at which the present state began. */
  readonly sinceMs: number
  /** Why there is none now; undefined while there is one. */
  readonly reason: string | undefined
}

interface UpperSecret {
  /** `https://host:port`: nobody else is shown it. */
  readonly origin: string
  readonly secret: string
}

/** Holds one link to the upper side: opens it, and opens it again whenever it was lost. */
export class Dialer implements LinkToUpper {
  readonly #stopping = new AbortController()
  readonly #now: () => number
  readonly #laneOpener: LaneOpener
  readonly #listeners = new Set<(status: LinkStatus) => void>()
  #status: LinkStatus
  #secret: UpperSecret | undefined
  #ended: Promise<void> | undefined
  #giveUp: (reason: string) => void = () => undefined
  /** Ends the lanes, those that are being opened too. */
  #lanes = newLanes()

  constructor(private readonly options: DialerOptions) {
    this.#now = options.now ?? (() => performance.now())
    this.#laneOpener = new LaneOpener({ lane: options.lane, logger: options.logger, now: this.#now })
    this.#status = { isConnected: false, sinceMs: this.#now(), reason: 'not tried yet' }
  }

  get status(): LinkStatus {
    return this.#status
  }

  /** The secret that came with the standing link, for requests of our own; kept in memory alone. */
  secretFor(address: string): string | undefined {
    const isItsOwn = this.#secret !== undefined && new URL(address).origin === this.#secret.origin
    return isItsOwn ? this.#secret?.secret : undefined
  }

  get isAwaited(): boolean {
    return !this.#status.isConnected
  }

  /** @returns a function that ends this */
  onChange(listener: (status: LinkStatus) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  start(): void {
    this.#ended ??= this.#run()
  }

  /** Gives up the link that stands, if one does, and opens another one, as the options are now. */
  redial(reason: string): void {
    this.#giveUp(reason)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#lanes.abort()
    await this.#ended
  }

  /**
   * Opens one more lane of a link, or the one that carries streams. The upper side asks for lanes: one that shows costly
   * certificates there ends the other handshakes, and its link.
   * @throws {Error} when it cannot be opened
   */
  async openLane(linkId: string, purpose: 'lane' | 'streams'): Promise<void> {
    const { end } = this.options
    const handshake = await this.options.handshake()
    try {
      await this.#laneOpener.open(await this.options.upper(), this.#lanes.signal, opened =>
        performHandshake(opened, handshake, { purpose, link: linkId }, welcome =>
          purpose === 'lane' ? end.serveLane(opened.transport, linkId) : end.serveStreams(opened.transport, welcome)
        )
      )
    } catch (error) {
      if (error instanceof CostlyUpperError) this.#giveUpCostly(error.message)
      throw error
    }
  }

  #giveUpCostly(reason: string): void {
    this.#lanes.abort()
    if (!this.#stopping.signal.aborted) this.#lanes = newLanes()
    this.#giveUp(reason)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    const { backoff = LINK_BACKOFF, random, wait = sleepUntilAborted } = this.options
    let attempts = 0
    while (!signal.aborted) {
      const triedAtMs = this.#now()
      const { reason, refusedBy } = await this.#holdOne()
      if (signal.aborted) break
      if (this.#status.isConnected && this.#now() - this.#status.sinceMs > SETTLED_LINK_MS) attempts = 0
      this.#set({ isConnected: false, sinceMs: this.#status.isConnected ? this.#now() : triedAtMs, reason })
      if ((await this.options.follower?.ended(refusedBy, signal)) === true) attempts = 0
      attempts += 1
      await wait(backoffMs(attempts, backoff, random), signal)
    }
    this.#set({ isConnected: false, sinceMs: this.#now(), reason: 'stopping' })
  }

  async #holdOne(): Promise<Ending> {
    const { end, follower, logger } = this.options
    const { signal } = this.#stopping
    try {
      const upper = await this.options.upper()
      const handshake = await this.options.handshake()
      const { transport, ended, secret } = await openWebSocket(upper, signal, opened =>
        performHandshake(opened, handshake, { purpose: 'link' }, welcome => ({
          transport: opened.transport,
          secret: welcome.secret,
          ended: end.serveLink(opened.transport, welcome) // in an object: alone, it would be awaited here
        }))
      )
      this.#secret = secret === undefined ? undefined : { origin: httpsOrigin(upper.url), secret }
      await follower?.opened()
      this.#set({ isConnected: true, sinceMs: this.#now(), reason: undefined })
      logger.info({ url: upper.url }, 'link opened')
      const givenUp = new Promise<string>(resolve => {
        this.#giveUp = resolve
      })
      const reason = await Promise.race([ended, givenUp])
      this.#secret = undefined
      transport.terminate()
      if (!signal.aborted) logger.warn({ url: upper.url, reason }, 'link lost')
      return { reason }
    } catch (error) {
      const reason = errorMessage(error)
      if (!signal.aborted && reason !== this.#status.reason) logger.warn({ reason }, 'cannot open link')
      return error instanceof LinkRefusedError ? { reason, refusedBy: error.relay } : { reason }
    }
  }

  #set(status: LinkStatus): void {
    const changed = status.isConnected !== this.#status.isConnected
    this.#status = status
    if (changed) for (const listener of this.#listeners) listener(status)
  }
}

function newLanes(): AbortController {
  const lanes = new AbortController()
  setMaxListeners(2 * MAX_LANES, lanes.signal) // each lane has one, and Node warns of more than 10
  return lanes
}

/** @param url `wss://host:port` */
function httpsOrigin(url: string): string {
  return new URL(url.replace(/^wss:/, 'https:')).origin
}

function sleepUntilAborted(ms: number, signal: AbortSignal): Promise<void> {
  return sleep(ms, undefined, { signal }).catch(() => undefined) // aborted: the dialer stops
}
