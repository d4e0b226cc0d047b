import { type Caller, sharerOf } from '../network/caller.js'
import { shareOfStrangers } from '../network/sources/fair-slots.js'
import { RelayError } from '../values/failures/relay-error.js'
import { askedBy, askerNamed } from './progress/new-run.js'

/** Slots that only trusted callers get: the quarter that {@link shareOfStrangers} leaves. */
const RESERVED = 64

/** Runs under way at once; a further one is refused. */
export const MAX_RUNS = RESERVED * 4

/** Runs under way at which `remote_run.timeout` alone is the time for nodes of neighbours to end, or for a relay's to start. */
export const CROWDED_RUNS = RESERVED * 3

/** A bound of the configuration, below {@link MAX_RUNS}. */
export interface FewerRuns {
  readonly count: number
  readonly refusal: string
}

/**
 * The slots of runs under way. A run that waits for nodes keeps its slot for up to days, so all callers but trusted
 * ones share them as strangers do. They are counted from the records of the runs, not taken and given back as
 * `FairSlots` are: runs of a former process hold them as well, beyond any share, for whoever asked for them.
 */
export class RunSlots {
  readonly #beginning = new Set<{ readonly askedBy: string }>()

  /** @param underWay the caller of each run under way, as {@link askedBy} names it */
  constructor(
    private readonly underWay: () => readonly string[],
    private readonly fewer: FewerRuns | undefined
  ) {}

  /** Slots that are taken. */
  get taken(): number {
    return this.#beginning.size + this.underWay().length
  }

  /** Whether only those are left that strangers never get: a run that does not go on keeps others from beginning. */
  get isCrowded(): boolean {
    return this.taken >= CROWDED_RUNS
  }

  /**
   * Holds a slot while a run begins.
   * @returns what gives it back, once the run is among those under way or could not begin
   * @throws {RelayError} BUSY, CONFLICT
   */
  take(caller: Caller): () => void {
    this.#check(caller)
    const slot = { askedBy: askedBy(caller) }
    this.#beginning.add(slot)
    return () => void this.#beginning.delete(slot)
  }

  #check(caller: Caller): void {
    const { taken, fewer } = this
    if (taken >= MAX_RUNS) {
      throw new RelayError('BUSY', `${MAX_RUNS} remote runs are under way; ask again when one has ended`)
    }
    if (fewer !== undefined && taken >= fewer.count) throw new RelayError('CONFLICT', fewer.refusal)
    const { source, standing } = sharerOf(caller)
    if (standing === 'trusted') return
    const held = this.#heldBy(source)
    if (held < shareOfStrangers(MAX_RUNS, taken)) return
    throw new RelayError(
      'BUSY',
      `${taken} remote runs are under way, ${held} of them for ${caller.id ?? source}, which can have no more; ask again when one has ended`
    )
  }

  #heldBy(source: string): number {
    const beginning = [...this.#beginning].map(slot => slot.askedBy)
    const sharers = [...this.underWay(), ...beginning].map(name => sharerOf(askerNamed(name)))
    return sharers.filter(sharer => sharer.standing !== 'trusted' && sharer.source === source).length
  }
}
