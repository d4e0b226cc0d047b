import { setTimeout as sleep } from 'node:timers/promises'
import { PieceBudget } from '../../network/sources/piece-budget.js'
import { LANE_WAIT_MS, LANES_PER_SECOND, MAX_LANES } from '../wire/protocol.js'
import type { LinkStream } from '../wire/transport.js'

export interface LowerLanesOptions {
  /** Opens one more lane of a link, which is then added. */
  readonly openLane: (linkId: string, purpose: 'lane' | 'streams') => Promise<void>
  readonly now?: () => number
  readonly wait?: (ms: number) => Promise<unknown>
}

interface Waiter {
  readonly linkId: string
  readonly begin: () => void
  readonly refuse: (error: Error) => void
}

/**
 * The lanes of the lower side. The upper side asks for them, and each costs a TLS connection and a signature here:
 * there are {@link MAX_LANES} at most, with those being opened, and {@link LANES_PER_SECOND} follow the first ones.
 */
export class LowerLanes {
  readonly #links = new Set<string>()
  /** The link of each lane. */
  readonly #standing = new Map<LinkStream, string>()
  readonly #waiting = new Set<Waiter>()
  readonly #pace: PieceBudget
  readonly #wait: (ms: number) => Promise<unknown>
  #opening = 0

  constructor(private readonly options: LowerLanesOptions) {
    this.#pace = new PieceBudget({ ahead: MAX_LANES, forgivenPerSecond: LANES_PER_SECOND }, options.now)
    this.#wait = options.wait ?? (ms => sleep(ms, undefined, { ref: false }))
  }

  /** A link stands: it may have lanes until it ends. */
  linkBegan(linkId: string): void {
    this.#links.add(linkId)
  }

  /** Ends the lanes of a link, as the other side does: new links could add to them otherwise. */
  linkEnded(linkId: string): void {
    this.#links.delete(linkId)
    for (const waiter of this.#waiting) if (waiter.linkId === linkId) waiter.refuse(linkIsGone())
    for (const [lane, owner] of this.#standing) if (owner === linkId) lane.destroy()
  }

  /**
   * Opens a lane that the upper side asks for.
   * @throws {Error} when there are too many, its link has ended, or it cannot be opened
   */
  async open(linkId: string, purpose: 'lane' | 'streams' = 'lane'): Promise<void> {
    await this.#takePlace(linkId)
    try {
      this.#pace.take(0)
      const { restMs } = this.#pace
      if (restMs > 0) await this.#wait(restMs)
      if (!this.#links.has(linkId)) throw linkIsGone()
      await this.options.openLane(linkId, purpose)
    } finally {
      this.#opening -= 1
      this.#fillPlaces()
    }
  }

  /** Counts a lane until it is closed. One whose link ended meanwhile is closed at once. */
  add(lane: LinkStream, linkId: string): void {
    this.#standing.set(lane, linkId)
    lane.once('close', () => {
      this.#standing.delete(lane)
      this.#fillPlaces()
    })
    if (!this.#links.has(linkId)) lane.destroy()
  }

  get #hasPlace(): boolean {
    return this.#opening + this.#standing.size < MAX_LANES
  }

  async #takePlace(linkId: string): Promise<void> {
    if (this.#hasPlace) {
      this.#opening += 1
      return
    }
    if (this.#waiting.size >= MAX_LANES) throw new Error(`${MAX_LANES} lanes stand, and as many are waited for`)
    // The other side may know of the end of a lane before this one does: it asks for the next one too early.
    await new Promise<void>((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer)
        this.#waiting.delete(waiter)
      }
      const waiter: Waiter = {
        linkId,
        begin: () => {
          leave()
          resolve()
        },
        refuse: error => {
          leave()
          reject(error)
        }
      }
      const timer = setTimeout(() => waiter.refuse(new Error(`${MAX_LANES} lanes stand`)), LANE_WAIT_MS).unref()
      this.#waiting.add(waiter)
    })
  }

  #fillPlaces(): void {
    for (const waiter of this.#waiting) {
      if (!this.#hasPlace) return
      this.#opening += 1
      waiter.begin()
    }
  }
}

function linkIsGone(): Error {
  return new Error('the link of this lane has ended')
}
