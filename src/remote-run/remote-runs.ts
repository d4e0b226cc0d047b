import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/config.js'
import type { Neighbours } from '../hops/hop.js'
import { noteOrder } from '../process/bulk-pacing.js'
import type { Database } from '../storage/database.js'
import { groupCommitOf } from '../storage/group-commit.js'
import { createRunStore } from '../storage/run-store.js'
import type { CurrentTopology } from '../tree/topology.js'
import { RelayError } from '../values/failures/relay-error.js'
import type { Logger } from '../values/logger.js'
import { passOn } from '../values/passed-relays.js'
import { makeRunId } from '../values/runs/run-id.js'
import { LiveRun } from './active-run.js'
import { EndedRun } from './archived-run.js'
import { type CommandLine, commandLine } from './commands/command.js'
import { CommandHosts } from './commands/command-host-pool.js'
import { CommandSlots } from './commands/concurrency-limiter.js'
import { Connections } from './dispatch/reachability.js'
import type { EventLog } from './event-log/event-log.js'
import { RunFiles } from './event-log/log-files.js'
import { NodeTable } from './progress/node-table.js'
import { planRun, type RunPlan } from './progress/plan.js'
import { type RunObserver, RunProgress } from './progress/run-progress.js'
import { newRunRow, toNodeRecord, toRunRecord } from './progress/run-records.js'
import { RUN_TIMING, type RunTiming } from './progress/timing.js'
import { purgeRuns } from './purge.js'
import { interruptUnfinished } from './recovery.js'
import { resumeRun } from './resumption.js'
import { checkAge } from './run-age.js'
import type { RunContext } from './run-context.js'
import type { NodeRecord, RemoteRuns, Run, RunOrder, RunRecord } from './types.js'

/** Runs under way at once; a further one is refused. */
export const MAX_RUNS = 256

/** Nodes asked over their links at once, by all runs together. */
const MAX_ASKED_LINKS = 2_000
const LINKS_PER_TURN = 32

/** How far the clock of the relay above may be ahead of ours, in ms. */
const CLOCK_SKEW_MS = 60 * 60_000

/** How long an order waits for a newer tree. */
const TREE_LIMIT_MS = 5_000

/** Longest page of records. */
const MAX_PAGE = 1_000

export interface RemoteRunsOptions {
  readonly config: Config['remoteRun']
  readonly storagePath: string
  readonly selfId: string
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  /** Of the `state` schema; the caller closes it, after {@link RemoteRuns.stop}. */
  readonly db: Database
  readonly logger: Logger
  readonly now?: () => number
  readonly observer?: RunObserver
  /** @default that of the contract, `remote run … -- <hosts>` */
  readonly commandLine?: CommandLine
  /** A run beyond so many under way is refused with `refusal`. @default none but {@link MAX_RUNS} */
  readonly maxRuns?: { readonly count: number; readonly refusal: string }
  /** Asks for the tree that the policy server has now; undefined where this relay does not have it from there. */
  readonly refreshTree?: (() => Promise<void>) | undefined
  /** Shortened by tests. */
  readonly timing?: Partial<RunTiming>
}

/** The remote runs of one relay. {@link RemoteRuns.recover} comes first, `stop` last. */
export function createRemoteRuns(options: RemoteRunsOptions): RemoteRuns {
  return new RunRegistry(options)
}

class RunRegistry implements RemoteRuns {
  readonly #context: RunContext
  readonly #files: RunFiles
  readonly #live = new Map<string, LiveRun>()
  readonly #starting = new Map<string, Promise<Run>>()
  /** Runs that wait, and go on in the next process. */
  readonly #left = new Set<string>()
  #stopping = false

  constructor(private readonly options: RemoteRunsOptions) {
    const { config, selfId, topology, neighbours, db, logger, now = Date.now } = options
    this.#files = new RunFiles(options.storagePath)
    this.#context = {
      config,
      selfId,
      neighbours,
      hosts: new CommandHosts(),
      commandLine: options.commandLine ?? commandLine,
      slots: new CommandSlots(config.concurrency),
      linkSlots: new CommandSlots(MAX_ASKED_LINKS, LINKS_PER_TURN),
      connections: new Connections(neighbours),
      isRelay: id => topology().isRelay(id),
      canRunItself: id => !config.fallbackCommand || !topology().isRelay(id),
      store: createRunStore(db),
      commit: groupCommitOf(db),
      logger,
      timing: { ...RUN_TIMING, ...options.timing },
      now
    }
  }

  async start(order: RunOrder): Promise<Run> {
    noteOrder()
    if (this.#stopping) throw new RelayError('STOPPING', this.#stoppingText)
    if (!this.options.config.enabled) {
      throw new RelayError('DISABLED', 'remote runs are switched off here; see remote_run.enabled')
    }
    const id = order.runId ?? makeRunId(this.#context.now())
    checkAge(id, this.#context.now(), this.options.config.retentionMs)
    const known = this.#starting.get(id) ?? this.find(id)
    if (known !== undefined) return known
    if (this.#underWay() >= MAX_RUNS) {
      throw new RelayError('BUSY', `${MAX_RUNS} remote runs are under way; ask again when one has ended`)
    }
    const { maxRuns } = this.options
    if (maxRuns !== undefined && this.#underWay() >= maxRuns.count) {
      throw new RelayError('CONFLICT', maxRuns.refusal)
    }
    const starting = this.#start(id, order)
    this.#starting.set(id, starting)
    try {
      return await starting
    } finally {
      this.#starting.delete(id)
    }
  }

  /** Not those whose end has been told, and whose log is still on its way to the disk. */
  #underWay(): number {
    let count = this.#starting.size
    for (const run of this.#live.values()) count += run.state === 'running' ? 1 : 0
    return count
  }

  async #start(id: string, order: RunOrder): Promise<Run> {
    const { selfId } = this.#context
    const passed = passOn(order.origin.passed, selfId)
    const plan = await this.#plan(order)
    const { table, log } = await this.#record(id, order, plan)
    const { keepOutput, asynchronous, conditions, waitUntilMs, origin } = order
    const run = new LiveRun(this.#context, {
      order: {
        runId: id,
        all: order.nodes === 'all',
        keepOutput,
        asynchronous,
        conditions,
        ...(waitUntilMs === undefined ? {} : { waitSeconds: Math.ceil((waitUntilMs - this.#context.now()) / 1_000) }),
        passed,
        requestId: origin.requestId
      },
      waitUntilMs,
      plan,
      log,
      table,
      progress: new RunProgress(log, table, this.options.observer)
    })
    this.#follow(run)
    if (this.#stopping) await run.cancel(`${selfId} is stopping`)
    return run
  }

  /** The policy server knows of new nodes first: one that it asks for and is unknown here is looked for there, once. */
  async #plan(order: RunOrder): Promise<RunPlan> {
    const { topology, refreshTree, selfId, config } = this.options
    if (refreshTree !== undefined && order.nodes !== 'all' && order.origin.caller.kind === 'policy-server') {
      const tree = topology()
      const isNew = (id: string) => id !== selfId && !tree.isBelow(id)
      if (order.nodes.some(isNew)) await Promise.race([refreshTree(), sleep(TREE_LIMIT_MS, undefined, { ref: false })])
    }
    if (topology().version === 0) {
      throw new RelayError('NO_TREE', `${selfId} has no tree yet, and so knows no node; ask again in a minute`)
    }
    return planRun(topology(), order, !config.fallbackCommand)
  }

  #follow(run: LiveRun): void {
    this.#live.set(run.id, run)
    run.ended.then(
      () => this.#live.delete(run.id),
      () => this.#live.delete(run.id)
    )
  }

  /** Durable before anything starts, so that the same order is never carried out twice. */
  async #record(runId: string, order: RunOrder, plan: RunPlan): Promise<{ table: NodeTable; log: EventLog }> {
    const { store, commit, logger, timing, now } = this.#context
    const table = new NodeTable({ runId, store, commit, logger, recordDelayMs: timing.recordDelayMs })
    const { canRunItself, neighbours } = this.#context
    await table.addPlan(plan, node => neighbours.linked(node) !== undefined && canRunItself(node))
    try {
      await table.insertAll(() => store.insertRun(newRunRow(runId, order, now())))
      return { table, log: await this.#files.createLog(runId, logger) }
    } catch (error) {
      await commit(() => store.endRun(runId, 'interrupted', now(), '{}'))
      throw error
    }
  }

  find(id: string): Run | undefined {
    const live = this.#live.get(id)
    if (live !== undefined) return live
    if (this.#left.has(id)) throw new RelayError('STOPPING', this.#stoppingText)
    const record = this.record(id)
    return record === undefined ? undefined : new EndedRun(record, this.#files.path(id))
  }

  record(id: string): RunRecord | undefined {
    const row = this.#context.store.find(id)
    return row === undefined ? undefined : this.#asItStands(toRunRecord(row))
  }

  list(limit: number, beforeId?: string): RunRecord[] {
    const rows = this.#context.store.list(page(limit), beforeId)
    return rows.map(row => this.#asItStands(toRunRecord(row)))
  }

  nodeRecords(id: string, limit: number, afterNode?: string): NodeRecord[] {
    const table = this.#live.get(id)?.table
    const records = this.#context.store.nodes(id, page(limit), afterNode).map(toNodeRecord)
    return table === undefined ? records : records.map(record => table.get(record.node) ?? record)
  }

  status(): { readonly running: number; readonly commandsRunning: number } {
    return { running: this.#underWay(), commandsRunning: this.#context.slots.running }
  }

  async recover(treeLoaded: Promise<unknown> = Promise.resolve()): Promise<void> {
    const { store, commit, now, logger } = this.#context
    await this.#files.makeFolder()
    const { interrupted: count, resumable } = await interruptUnfinished({ store, commit, now, files: this.#files })
    if (count > 0) logger.warn({ count }, 'remote runs were interrupted by the end of the former process')
    if (resumable.length > 0) await treeLoaded
    for (const id of resumable) {
      const run = await resumeRun(this.#context, this.#files, id, this.options)
      if (run !== undefined) this.#follow(run)
    }
  }

  async purgeExpired(signal: AbortSignal): Promise<number> {
    const { store, commit, now, config } = this.#context
    const endedBeforeMs = now() - config.retentionMs - CLOCK_SKEW_MS
    return purgeRuns({ store, commit, files: this.#files, endedBeforeMs, signal })
  }

  async drain(): Promise<void> {
    for (;;) {
      const ends = [...this.#live.values()].map(run => (run.isWaiting ? this.#leave(run) : run.ended))
      if (this.#starting.size + ends.length === 0) return
      await Promise.allSettled([...this.#starting.values(), ...ends])
    }
  }

  /** One that waits for nodes may take days, and goes on after a restart: those who follow it would hold a stop up. */
  async #leave(run: LiveRun): Promise<void> {
    this.#left.add(run.id)
    await run.suspendIdle(this.#stoppingText)
    await run.ended
    this.#live.delete(run.id)
  }

  get #stoppingText(): string {
    return `${this.options.selfId} is stopping; ask again in a minute`
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.allSettled(this.#starting.values())
    const reason = `${this.options.selfId} is stopping`
    await Promise.all([...this.#live.values()].map(run => (run.isWaiting ? run.suspend(reason) : run.cancel(reason))))
    await this.#context.hosts.close()
  }

  #asItStands(record: RunRecord): RunRecord {
    const live = this.#live.get(record.id)
    return live === undefined || record.state !== 'running' ? record : { ...record, counts: live.counts() }
  }
}

function page(limit: number): number {
  return Math.min(MAX_PAGE, Math.max(1, Math.trunc(limit)))
}
