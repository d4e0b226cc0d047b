import { SourceQueue } from '../../network/sources/source-queue.js'

/** The connections that a listener may have. */
export interface ConnectionShare {
  hasRoom(): boolean
  take(): void
  giveBack(): void
}

/** A connection that has a slot. */
export interface CallerSlot {
  readonly source: string
  /** Ends the connection. */
  readonly close: () => void
}

/**
 * The connections of a listener for callers, shared among their sources. Where all are taken, an unused one makes room;
 * where there is none, the oldest of the source that has the most does, for a source that has at least two fewer.
 */
export class CallerSlots {
  readonly #all = new SourceQueue<CallerSlot>()
  readonly #unused = new SourceQueue<CallerSlot>()

  constructor(private readonly share: ConnectionShare) {}

  /** @returns false when there is no room: the connection is to be closed */
  enter(slot: CallerSlot): boolean {
    if (!this.share.hasRoom()) {
      const older = this.#unused.oldestOfLargest() ?? this.#all.oldestDueTo(slot.source)
      if (older === undefined) return false
      this.leave(older)
      older.close()
    }
    this.share.take()
    this.#all.add(slot.source, slot)
    this.#unused.add(slot.source, slot)
    return true
  }

  /** Notes whether a request is under way. */
  use(slot: CallerSlot, isUsed: boolean): void {
    if (isUsed || !this.#has(slot)) this.#unused.delete(slot.source, slot)
    else this.#unused.add(slot.source, slot)
  }

  /** Once only: a connection that made room closes later. */
  leave(slot: CallerSlot): void {
    const before = this.#all.size
    this.#all.delete(slot.source, slot)
    if (this.#all.size === before) return
    this.#unused.delete(slot.source, slot)
    this.share.giveBack()
  }

  #has(slot: CallerSlot): boolean {
    return this.#all.has(slot.source, slot)
  }
}
