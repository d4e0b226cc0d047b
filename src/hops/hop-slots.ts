import { type Caller, type Origin, sharerOf } from '../network/caller.js'
import type { ReleaseSlot } from '../network/sources/fair-slots.js'
import { WaitedSlots } from '../network/sources/waited-slots.js'

/** How long a request waits for a slot of its hop. */
export const SLOT_WAIT_MS = 1_000
/** Requests that wait, for each slot. */
const WAITING_PER_SLOT = 2

/** The result of work that needed a slot: `late` when it took too long, `evicted` when another source got its slot. */
export type SlotWork<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'no-slot' | 'evicted' | 'late' }

/**
 * Connections to one neighbour at once. Each request under way has one of its own, long runs among them. There are more
 * than all slots together of what others may have passed on: HEADs, PUTs, traces and joins.
 */
export const MAX_CONNECTIONS_PER_NEIGHBOUR = 512

/**
 * The slots of one kind of request that is passed on, for each hop. Many callers may ask, and a relay further on may be
 * silent: no source holds more than its share of the slots ({@link sharerOf}), so that none takes all connections of a
 * hop. The kinds together leave some to this relay's other requests, whoever asks (`MAX_CONNECTIONS_PER_NEIGHBOUR`).
 */
export class HopSlots {
  readonly #slotsByHop = new Map<string, WaitedSlots>()

  /** @param capacity slots for each hop */
  constructor(private readonly capacity: number) {}

  /**
   * Takes a slot, waiting for a moment where there is none: most requests end soon.
   * @param onEvicted called when a stranger's slot goes to one who has fewer; without it, it is kept
   * @returns undefined when there is no slot for this caller
   * @throws the reason of the signal, once it aborts
   */
  async take(
    hopId: string,
    { caller, signal }: Pick<Origin, 'caller' | 'signal'>,
    onEvicted?: () => void
  ): Promise<ReleaseSlot | undefined> {
    signal.throwIfAborted()
    const slots = this.#slotsByHop.get(hopId) ?? new WaitedSlots(this.capacity, this.capacity * WAITING_PER_SLOT)
    this.#slotsByHop.set(hopId, slots)
    const release = await takeOf(slots, caller, signal, onEvicted)
    if (release === undefined) {
      this.#forgetUnused(hopId, slots)
      signal.throwIfAborted()
      return undefined
    }
    return () => {
      release()
      this.#forgetUnused(hopId, slots)
    }
  }

  /**
   * Does `work`, which ends when its signal aborts: after `limitMs`, or for a source that has fewer slots.
   * @throws the reason of the origin's signal, once that aborts; whatever `work` throws
   */
  async during<T>(
    hopId: string,
    origin: Pick<Origin, 'caller' | 'signal'>,
    limitMs: number,
    work: (signal: AbortSignal) => Promise<T>
  ): Promise<SlotWork<T>> {
    const ending = new AbortController()
    let why: 'evicted' | 'late' | undefined
    const end = (reason: 'evicted' | 'late') => {
      why ??= reason
      ending.abort(new Error(reason === 'late' ? `no answer within ${limitMs} ms` : 'another caller needed the slot'))
    }
    const leave = await this.take(hopId, origin, () => end('evicted'))
    if (leave === undefined) return { kind: 'no-slot' }
    const timer = setTimeout(end, limitMs, 'late')
    const onGone = () => ending.abort(origin.signal.reason)
    origin.signal.addEventListener('abort', onGone, { once: true })
    if (origin.signal.aborted) onGone()
    try {
      ending.signal.throwIfAborted() // the caller went, or it was evicted, before it had begun
      return { kind: 'done', value: await work(ending.signal) }
    } catch (error) {
      if (why === undefined || origin.signal.aborted) throw error
      return { kind: why }
    } finally {
      clearTimeout(timer)
      origin.signal.removeEventListener('abort', onGone)
      leave()
    }
  }

  #forgetUnused(hopId: string, slots: WaitedSlots): void {
    if (slots.isUnused && this.#slotsByHop.get(hopId) === slots) this.#slotsByHop.delete(hopId)
  }
}

/** A neighbour is not evicted, as it asks for many: what it has begun is done, and what is beyond its share waits. */
function takeOf(
  slots: WaitedSlots,
  caller: Caller,
  signal: AbortSignal,
  onEvicted: (() => void) | undefined
): Promise<ReleaseSlot | undefined> {
  const { source, standing } = sharerOf(caller)
  return slots.take(source, standing, { waitMs: SLOT_WAIT_MS, signal }, standing === 'stranger' ? onEvicted : undefined)
}
