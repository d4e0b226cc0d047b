import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Commit } from '../../storage/group-commit.js'
import type { RunNodeRow, RunStore } from '../../storage/run-store.js'
import type { Logger } from '../../values/logger.js'
import { type CountedOutcome, countedOutcome } from '../../values/runs/run-event.js'
import type { NodeOutcome, NodeRecord, Reached, RunRecord } from '../types.js'
import type { RunPlan } from './plan.js'
import { brokenHopColumns } from './run-records.js'

/** Rows written in one transaction, so that none takes more than a few ms. */
const ROWS_PER_COMMIT = 500

/** Nodes taken up before other requests get their turn. */
const NODES_PER_TURN = 5_000

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
  readonly store: RunStore
  readonly commit: Commit
  readonly logger: Logger
  /** Changes are gathered for so long before they are written. */
  readonly recordDelayMs: number
}

/** Where a run that is under way stands, node by node: in memory, and a moment later in the database. */
export class NodeTable {
  readonly #nodes = new Map<string, NodeRecord>()
  readonly #dirty = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(private readonly options: NodeTableOptions) {}

  /**
   * Takes the nodes of `plan`, queued; gives way now and then, since they may be a hundred thousand.
   * @param isLinked nodes that are to be reached over their links: on disk before they are asked
   */
  async addPlan({ here, down, unknown }: RunPlan, isLinked: (node: string) => boolean = () => false): Promise<void> {
    for (const { id } of here) await this.#add(id, undefined, isLinked(id) ? 'link' : undefined)
    for (const [relay, nodes] of down) {
      for (const id of nodes) await this.#add(id, relay)
    }
    for (const id of unknown) await this.#add(id, undefined)
  }

  /** Takes the nodes of a run as the database has them. */
  async addRecords(records: Iterable<NodeRecord>): Promise<void> {
    for (const record of records) {
      this.#nodes.set(record.node, record)
      if (this.#nodes.size % NODES_PER_TURN === 0) await nextTurn()
    }
  }

  nodes(): IterableIterator<string> {
    return this.#nodes.keys()
  }

  #add(node: string, via: string | undefined, reached?: Reached): Promise<void> | undefined {
    this.#nodes.set(node, { node, via, ...QUEUED, reached })
    return this.#nodes.size % NODES_PER_TURN === 0 ? nextTurn() : undefined
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

  /**
   * Writes every node, durably. Before the run starts.
   * @param withFirst what is written in the same commit as the first of them: each commit is a wait for the disk
   */
  async insertAll(withFirst: () => void): Promise<void> {
    const { commit, store, runId } = this.options
    const groups = inGroups(this.#nodes.values())
    const first = groups.next()
    await commit(() => {
      withFirst()
      if (first.done !== true) store.insertNodes(runId, first.value)
    })
    for (const rows of groups) await commit(() => store.insertNodes(runId, rows))
  }

  /**
   * Notes on disk alone that nodes are given to a relay that only speaks text, so that a later process does not give
   * them away again.
   * @throws what the commit throws
   */
  giveOnDisk(nodes: readonly string[]): Promise<void> {
    const { store, runId } = this.options
    return this.#inCommits(nodes, group => store.giveNodes(runId, group))
  }

  /** They did not get there. Where that cannot be noted a later process takes them for interrupted. */
  async takeBackOnDisk(nodes: readonly string[]): Promise<void> {
    const { store, runId, logger } = this.options
    try {
      await this.#inCommits(nodes, group => store.takeNodesBack(runId, group))
    } catch (err) {
      logger.error({ err, runId }, 'it could not be recorded that an order was not taken')
    }
  }

  async #inCommits(nodes: readonly string[], write: (group: readonly string[]) => void): Promise<void> {
    for (let start = 0; start < nodes.length; start += ROWS_PER_COMMIT) {
      const group = nodes.slice(start, start + ROWS_PER_COMMIT)
      await this.options.commit(() => write(group))
    }
  }

  /** Resolves when all changes are in the database. */
  async flush(): Promise<void> {
    this.#writeSoon()
    await this.#writing
  }

  /**
   * As {@link flush}, for the last time.
   * @param withLast what is written in the same commit as the last of them
   * @throws what `withLast` or the commit throws
   */
  async finish(withLast: () => void): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#writing
    const groups = [...this.#takeDirty()]
    const last = groups.pop() ?? []
    for (const rows of groups) await this.#update(rows)
    const { commit, store, runId } = this.options
    await commit(() => {
      store.updateNodes(runId, last)
      withLast()
    })
  }

  #writeSoon(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#writing = this.#writing.then(() => this.#writeDirty())
  }

  async #writeDirty(): Promise<void> {
    for (const rows of this.#takeDirty()) await this.#update(rows)
  }

  #takeDirty(): Generator<RunNodeRow[]> {
    const changed = [...this.#dirty].flatMap(node => this.#nodes.get(node) ?? [])
    this.#dirty.clear()
    return inGroups(changed)
  }

  async #update(rows: readonly RunNodeRow[]): Promise<void> {
    const { commit, store, runId, logger } = this.options
    try {
      await commit(() => store.updateNodes(runId, rows))
    } catch (err) {
      logger.error({ err, runId }, 'outcomes of a run could not be recorded')
    }
  }
}

function* inGroups(nodes: Iterable<NodeRecord>): Generator<RunNodeRow[]> {
  let rows: RunNodeRow[] = []
  for (const node of nodes) {
    rows.push(toRow(node))
    if (rows.length === ROWS_PER_COMMIT) {
      yield rows
      rows = []
    }
  }
  if (rows.length > 0) yield rows
}

function toRow(node: NodeRecord): RunNodeRow {
  return {
    node: node.node,
    via: node.via ?? null,
    reached: node.reached ?? null,
    outcome: node.outcome,
    exitCode: node.exitCode ?? null,
    startedAtMs: node.startedAtMs ?? null,
    durationMs: node.durationMs ?? null,
    message: node.message ?? null,
    ...brokenHopColumns(node.unreached)
  }
}
