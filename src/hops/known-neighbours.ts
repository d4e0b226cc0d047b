import type { NeighbourRepository } from './neighbour-repository.js'

/** The longest version that is kept; a longer one is cut, since it comes from another machine. */
const MAX_VERSION_LENGTH = 64
/** A neighbour that shows another version all the time (two of them behind one name) costs no more than this. */
const MIN_UPDATE_INTERVAL_MS = 60_000

/** Knows which neighbours have shown that they are Treeline relays, until they show something else. */
export class KnownNeighbours {
  readonly #versions: Map<string, string>
  /** When this process last wrote each of them. */
  readonly #writtenAtMs = new Map<string, number>()

  /** Settles when the writes under way have. */
  #writing: Promise<unknown> = Promise.resolve()

  private constructor(
    private readonly repository: NeighbourRepository,
    private readonly clock: () => number,
    versions: ReadonlyMap<string, string>
  ) {
    this.#versions = new Map(versions)
  }

  /** @param clock ms of a clock that only goes forward */
  static async load(repository: NeighbourRepository, clock = () => performance.now()): Promise<KnownNeighbours> {
    return new KnownNeighbours(repository, clock, await repository.versions())
  }

  /** The version that it showed last; undefined for one that showed none. In constant time. */
  version(id: string): string | undefined {
    return this.#versions.get(id)
  }

  /**
   * Counts at once, and is durable when it resolves. Writes only what is new.
   * @param nowMs since 1970, which is stored
   */
  async remember(id: string, version: string, nowMs: number): Promise<void> {
    const kept = version.slice(0, MAX_VERSION_LENGTH)
    const before = this.#versions.get(id)
    if (before !== undefined && (before === kept || this.#isWrittenNow(id))) return
    this.#versions.set(id, kept)
    this.#writtenAtMs.set(id, this.clock())
    await this.#write(() => this.repository.remember(id, kept, nowMs))
  }

  /**
   * Forgets a neighbour that showed itself as something else. Passed over for a while after it was remembered, for
   * the same two behind one name.
   * @returns whether something was forgotten
   */
  async forget(id: string): Promise<boolean> {
    if (!this.#versions.has(id) || this.#isWrittenNow(id)) return false
    this.#versions.delete(id)
    this.#writtenAtMs.delete(id)
    await this.#write(() => this.repository.forget(id))
    return true
  }

  /** Resolves when everything is written; to be awaited before the repository is closed. */
  async flush(): Promise<void> {
    await this.#writing
  }

  #write(work: () => Promise<void>): Promise<void> {
    const written = work()
    this.#writing = Promise.allSettled([this.#writing, written]) // each caller hears of its own
    return written
  }

  #isWrittenNow(id: string): boolean {
    return this.clock() - (this.#writtenAtMs.get(id) ?? Number.NEGATIVE_INFINITY) < MIN_UPDATE_INTERVAL_MS
  }
}
