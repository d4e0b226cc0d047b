import { runTurns } from '../../process/pacing/turn-limit.js'
import { RelayError } from '../../values/failures/relay-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { type CountedOutcome, countedOutcome } from '../../values/runs/run-event.js'
import type { NodeRecord, Reached, RunRecord } from '../records/run-record.js'
import type { RunEnd, RunRepository } from '../records/run-repository.js'
import type { NodeOutcome } from '../run-types.js'
import type { RunPlan } from './plan.js'

/** Nodes taken up before the clock is looked at. */
const NODES_AT_ONCE = 64

/** The reason for who follows a run that went on in another process. */
export const TAKEN_OVER = 'another process of this relay has taken the run over; ask again'

const QUEUED = {
  reached: undefined,
  outcome: 'queued',
  exitCode: undefined,
  startedAtMs: undefined,
  durationMs: undefined,
  message: undefined,
  unreached: undefined
} as const

export type NodeChange = Partial<Omit<NodeRecord, 'node' | 'via'>> & { readonly outcome: NodeOutcome }

export interface NodeTableOptions {
  readonly runId: string
  readonly repository: RunRepository
  readonly logger: Logger
  /** Changes are gathered for so long before they are written. */
  readonly recordDelayMs: number
}

/** The state of each node in a run that is under way: in memory, and a moment later in the database. */
export class NodeTable {
  readonly #nodes = new Map<string, NodeRecord>()
  readonly #dirty = new Set<string>()
  readonly #lost = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(private readonly options: NodeTableOptions) {}

  /**
   * Takes the nodes of `plan`, queued; gives way now and then, since they may be a hundred thousand.
   * @param wayTo how a node is asked to run itself, if it is: on disk before it is asked
   */
  async addPlan(
    { here, down, unknown }: RunPlan,
    wayTo: (node: string) => Reached | undefined = () => undefined
  ): Promise<void> {
    for (const { id } of here) await this.#add(id, undefined, wayTo(id))
    for (const [relay, nodes] of down) {
      for (const id of nodes) await this.#add(id, relay)
    }
    for (const id of unknown) await this.#add(id, undefined)
  }

  /** Takes the nodes of a run as the database has them. */
  async addRecords(records: Iterable<NodeRecord>): Promise<void> {
    for (const record of records) {
      this.#nodes.set(record.node, record)
      if (this.#nodes.size % NODES_AT_ONCE === 0 && runTurns.isOver) await runTurns.next()
    }
  }

  /** Aborts when another process has taken the run over: nothing is written then, and nothing may happen for it here. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  nodes(): IterableIterator<string> {
    return this.#nodes.keys()
  }

  #add(node: string, via: string | undefined, reached?: Reached): Promise<void> | undefined {
    this.#nodes.set(node, { node, via, ...QUEUED, reached })
    return this.#nodes.size % NODES_AT_ONCE === 0 && runTurns.isOver ? runTurns.next() : undefined
  }

  get(node: string): NodeRecord | undefined {
    return this.#nodes.get(node)
  }

  /** Whether `node` is in the run and has no final outcome yet. */
  isOpen(node: string): boolean {
    const outcome = this.#nodes.get(node)?.outcome
    return outcome === 'queued' || outcome === 'running'
  }

  set(node: string, change: NodeChange): void {
    const before = this.#nodes.get(node)
    if (before === undefined) return
    this.#nodes.set(node, { ...before, ...change })
    this.#dirty.add(node)
    this.#timer ??= setTimeout(() => this.#writeSoon(), this.options.recordDelayMs)
  }

  counts(): RunRecord['counts'] {
    const counts: Partial<Record<CountedOutcome, number>> = {}
    for (const { outcome, exitCode } of this.#nodes.values()) {
      const kind = countedOutcome(outcome, exitCode)
      counts[kind] = (counts[kind] ?? 0) + 1
    }
    return counts
  }

  /** Every node as it stands. */
  records(): IterableIterator<NodeRecord> {
    return this.#nodes.values()
  }

  /**
   * Notes on disk alone that nodes are given to a relay that only speaks text, so that a later process does not give
   * them away again.
   * @throws what the commit throws; {RelayError} STOPPING when another process has taken the run over
   */
  async recordDispatch(nodes: readonly string[]): Promise<void> {
    const { repository, runId } = this.options
    if (this.#isLost(await repository.markGiven(runId, nodes))) throw new RelayError('STOPPING', TAKEN_OVER)
  }

  /**
   * Records that the nodes did not get there. Where that cannot be noted a later process takes them for interrupted.
   */
  async recordNotDispatched(nodes: readonly string[]): Promise<void> {
    const { repository, runId, logger } = this.options
    try {
      this.#isLost(await repository.unmarkGiven(runId, nodes))
    } catch (err) {
      logger.error({ err, runId }, 'cannot record that an order was not taken')
    }
  }

  /** Resolves when all changes are in the database. */
  async flush(): Promise<void> {
    this.#writeSoon()
    await this.#writing
  }

  /**
   * Writes the last changes, and the end of the run in the same step. Where that fails it can be called again.
   * @returns `lost` when another process has taken the run over
   * @throws what the repository throws
   */
  async finish(end: RunEnd): Promise<'done' | 'lost'> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#writing
    const { repository, runId } = this.options
    const changed = this.#takeDirty()
    try {
      const outcome = await repository.end(runId, end, changed)
      this.#isLost(outcome)
      return outcome
    } catch (error) {
      for (const { node } of changed) this.#dirty.add(node)
      throw error
    }
  }

  #isLost(outcome: 'done' | 'lost'): boolean {
    if (outcome === 'lost') this.#lost.abort(TAKEN_OVER)
    return outcome === 'lost'
  }

  #writeSoon(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#writing = this.#writing.then(() => this.#writeDirty())
  }

  /** Outcomes that cannot be recorded now stay dirty: they go along with the next change, or with the end. */
  async #writeDirty(): Promise<void> {
    const { repository, runId, logger } = this.options
    const changed = this.#takeDirty()
    try {
      if (changed.length > 0) this.#isLost(await repository.note(runId, changed))
    } catch (err) {
      for (const { node } of changed) this.#dirty.add(node)
      logger.error({ err, runId }, 'cannot record outcomes of a run')
    }
  }

  #takeDirty(): NodeRecord[] {
    const changed = [...this.#dirty].flatMap(node => this.#nodes.get(node) ?? [])
    this.#dirty.clear()
    return changed
  }
}
