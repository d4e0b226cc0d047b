import { type Caller, type Origin, sharerOf } from '../values/caller.js'
import { FairSlots, type ReleaseSlot } from '../values/sources/fair-slots.js'

/**
 * Connections to one neighbour at once. Each request under way has one of its own, long runs among them. There are more
 * than all places together of what others may have passed on: HEADs, PUTs, traces and joins.
 */
export const MAX_CONNECTIONS_PER_NEIGHBOUR = 512

/**
 * The places of one kind of request that is passed on, for each hop. Many callers may ask, and a relay further on may be
 * silent: no source, be it a neighbour, holds more than a share of the places, so that none takes all connections of a
 * hop. The kinds together leave some to this relay's other requests, whoever asks (`MAX_CONNECTIONS_PER_NEIGHBOUR`).
 */
export class HopPlaces {
  readonly #slotsByHop = new Map<string, FairSlots>()

  /** @param capacity places for each hop, of which strangers and neighbours have three quarters */
  constructor(private readonly capacity: number) {}

  /**
   * @param onEvicted called when the place goes to a source that has fewer; without it, it is kept
   * @returns undefined when there is no place for this caller
   */
  take(hopId: string, caller: Caller, onEvicted?: () => void): ReleaseSlot | undefined {
    const slots = this.#slotsByHop.get(hopId) ?? new FairSlots(this.capacity)
    const { source, standing } = sharerOf(caller)
    // neighbours pass on what anybody asks, the policy server among them: the quarter is for who is not one
    const isNeighbour = standing !== 'trusted' || caller.kind === 'policy-server'
    const release = slots.take(source, isNeighbour ? 'stranger' : 'trusted', onEvicted)
    if (release === undefined) return undefined
    this.#slotsByHop.set(hopId, slots)
    return () => {
      release()
      if (slots.held === 0 && this.#slotsByHop.get(hopId) === slots) this.#slotsByHop.delete(hopId)
    }
  }

  /**
   * Does `work`, which ends when its signal aborts: after `limitMs`, or for a source that has fewer places.
   * @returns undefined when there was no place for it, or when it ended so
   * @throws the reason of the origin's signal, once that aborts; whatever `work` throws
   */
  async during<T>(
    hopId: string,
    origin: Pick<Origin, 'caller' | 'signal'>,
    limitMs: number,
    work: (signal: AbortSignal) => Promise<T>
  ): Promise<T | undefined> {
    origin.signal.throwIfAborted()
    const ending = new AbortController()
    const end = () => ending.abort(new Error(`no answer within ${limitMs} ms, or another caller needed the place`))
    const leave = this.take(hopId, origin.caller, end)
    if (leave === undefined) return undefined
    const timer = setTimeout(end, limitMs)
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
}
