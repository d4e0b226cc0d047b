import type { Standing } from '../caller.js'
import { FairSlots, type ReleaseSlot } from './fair-slots.js'

/** How long somebody waits for a slot: until then, or until the signal aborts. */
export interface SlotWait {
  readonly waitMs: number
  readonly signal: AbortSignal
}

/**
 * Slots that are shared as {@link FairSlots} shares them, and waited for where there is none: in the order of coming, and
 * shared in the same way, so that no source takes all that may wait.
 */
export class WaitedSlots {
  readonly #slots: FairSlots
  readonly #waiting: FairSlots
  /** Each takes a slot, if there is one for it. */
  readonly #waiters = new Set<() => void>()

  /**
   * @param capacity slots in all, at least 1
   * @param maxWaiting how many may wait, at least 1
   */
  constructor(capacity: number, maxWaiting: number) {
    this.#slots = new FairSlots(capacity)
    this.#waiting = new FairSlots(maxWaiting)
  }

  /** Whether nobody has a slot, or waits for one. */
  get isUnused(): boolean {
    return this.#slots.held === 0 && this.#waiting.held === 0
  }

  /**
   * Takes a slot, as {@link FairSlots} does.
   * @returns undefined when there was none for this caller in time
   */
  take(source: string, standing: Standing, wait: SlotWait, onEvicted?: () => void): Promise<ReleaseSlot | undefined> {
    const tryNow = () => this.#tryTake(source, standing, onEvicted)
    const release = tryNow()
    if (release !== undefined) return Promise.resolve(release)
    const stopWaiting = this.#waiting.take(source, standing)
    return stopWaiting === undefined ? Promise.resolve(undefined) : this.#wait(tryNow, stopWaiting, wait)
  }

  #tryTake(source: string, standing: Standing, onEvicted?: () => void): ReleaseSlot | undefined {
    const release = this.#slots.take(source, standing, onEvicted)
    if (release === undefined) return undefined
    return () => {
      release()
      this.#serveWaiters()
    }
  }

  #wait(
    tryNow: () => ReleaseSlot | undefined,
    stopWaiting: () => void,
    { waitMs, signal }: SlotWait
  ): Promise<ReleaseSlot | undefined> {
    return new Promise(resolve => {
      const finish = (release: ReleaseSlot | undefined) => {
        this.#waiters.delete(retry)
        clearTimeout(timer)
        signal.removeEventListener('abort', giveUp)
        stopWaiting()
        resolve(release)
      }
      const giveUp = () => finish(undefined)
      const retry = () => {
        const release = tryNow()
        if (release !== undefined) finish(release)
      }
      const timer = setTimeout(giveUp, waitMs)
      signal.addEventListener('abort', giveUp, { once: true })
      this.#waiters.add(retry)
    })
  }

  #serveWaiters(): void {
    for (const retry of this.#waiters) retry()
  }
}
