import type { Caller, Origin } from '../../values/caller.js'
import { FairSlots } from '../../values/fair-slots.js'
import { sourceOf } from '../../values/network/source-address.js'

/** HEADs under way to one hop: half of its connections, so that this relay's other requests always find one. */
export const MAX_HEADS_PER_HOP = 128

/** How long a HEAD may take at a hop. It only saves an upload, which is not worth a longer wait. */
export const HEAD_LIMIT_MS = 5_000

/**
 * The places of HEADs that are passed on, for each hop. Anybody may ask, and a relay further on may be silent: no source
 * holds more than a share of the places, and none for long.
 */
export class HeadPlaces {
  readonly #slotsByHop = new Map<string, FairSlots>()

  /**
   * Does `work`, which ends when its signal aborts.
   * @returns undefined when there was no place for it, or when it took too long
   * @throws the reason of the origin's signal, once that aborts; whatever `work` throws
   */
  async during<T>(hopId: string, origin: Origin, work: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    origin.signal.throwIfAborted()
    const ending = new AbortController()
    const end = () => ending.abort(new Error(`no answer to a HEAD within ${HEAD_LIMIT_MS} ms`))
    const leave = this.#take(hopId, origin.caller, end)
    if (leave === undefined) return undefined
    const timer = setTimeout(end, HEAD_LIMIT_MS)
    const onGone = () => ending.abort(origin.signal.reason)
    origin.signal.addEventListener('abort', onGone, { once: true })
    try {
      return await work(ending.signal)
    } catch (error) {
      if (!ending.signal.aborted || origin.signal.aborted) throw error
      return undefined
    } finally {
      clearTimeout(timer)
      origin.signal.removeEventListener('abort', onGone)
      leave()
    }
  }

  /** @param onEvicted called when the place goes to a source that has fewer */
  #take(hopId: string, caller: Caller, onEvicted: () => void): (() => void) | undefined {
    const slots = this.#slotsByHop.get(hopId) ?? new FairSlots(MAX_HEADS_PER_HOP)
    const isKnown = caller.kind !== 'network' && caller.kind !== 'proxied'
    const release = slots.take(sourceOf(caller.address), isKnown, onEvicted)
    if (release === undefined) return undefined
    this.#slotsByHop.set(hopId, slots)
    return () => {
      release()
      if (slots.held === 0 && this.#slotsByHop.get(hopId) === slots) this.#slotsByHop.delete(hopId)
    }
  }
}
