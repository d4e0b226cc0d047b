import type { Config } from '../config/config.js'
import type { Neighbours } from '../hops/hop.js'
import { noteOrder } from '../process/pacing/bulk-pacing.js'
import type { CurrentTopology } from '../tree/topology.js'
import { RelayError } from '../values/failures/relay-error.js'
import type { Logger } from '../values/logging/logger.js'
import { passOn } from '../values/passed-relays.js'
import { makeRunId } from '../values/runs/run-id.js'
import { LEASE_MS } from '../values/time/lease.js'
import { settledWithin } from '../values/time/settled-within.js'
import { ActiveRun } from './active-run.js'
import { NodeQueues } from './dispatch/node-queues.js'
import { Reachability } from './dispatch/reachability.js'
import type { EventLog } from './event-log/event-log.js'
import { LogFiles } from './event-log/log-files.js'
import { type CommandLine, commandLine } from './execution/command.js'
import { CommandHostPool } from './execution/command-host-pool.js'
import { ConcurrencyLimiter } from './execution/concurrency-limiter.js'
import { KnownRuns } from './known-runs.js'
import { RunPurge } from './lifecycle/purge-runs.js'
import { interruptUnfinished } from './lifecycle/recover-runs.js'
import { resumeRun } from './lifecycle/resume-run.js'
import { RunLeases } from './lifecycle/run-leases.js'
import { OrderedRuns } from './ordered-runs.js'
import { askedBy, newRun } from './progress/new-run.js'
import { NodeTable } from './progress/node-table.js'
import { planRun, type RunPlan } from './progress/plan.js'
import { type RunObserver, RunProgress } from './progress/run-progress.js'
import { RUN_TIMING, type RunTiming } from './progress/run-timing.js'
import { checkAge } from './records/run-age.js'
import type { NodeRecord, RunRecord } from './records/run-record.js'
import type { RunRepository } from './records/run-repository.js'
import type { RunContext } from './run-context.js'
import { type FewerRuns, RunSlots } from './run-slots.js'
import type { RemoteRuns, Run, RunOrder } from './run-types.js'

/** Nodes asked over their links at once, by all runs together. */
const MAX_ASKED_LINKS = 2_000
const LINKS_PER_TURN = 32

/** How long an order waits for a newer tree. */
const TREE_LIMIT_MS = 5_000

export interface RemoteRunsOptions {
  readonly config: Config['remoteRun']
  readonly storagePath: string
  readonly selfId: string
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  /** The repository. The caller keeps it open until {@link RemoteRuns.stop} has ended. */
  readonly repository: RunRepository
  readonly logger: Logger
  readonly now?: () => number
  /** In ms, since the machine started. @default that of the system */
  readonly uptime?: () => number
  readonly observer?: RunObserver
  /** @default that of the contract, `remote run … -- <hosts>` */
  readonly commandLine?: CommandLine
  /** A run beyond so many under way is refused with `refusal`. @default none but the bound of all relays */
  readonly maxRuns?: FewerRuns
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
  readonly #files: LogFiles
  readonly #known: KnownRuns
  readonly #ordered: OrderedRuns
  readonly #leases: RunLeases
  readonly #starting = new Map<string, Promise<Run>>()
  readonly #runSlots: RunSlots
  readonly #purge: RunPurge
  #stopping = false

  constructor(private readonly options: RemoteRunsOptions) {
    const { config, selfId, topology, neighbours, repository, logger, now = Date.now } = options
    const timing = { ...RUN_TIMING, ...options.timing }
    this.#files = new LogFiles(options.storagePath)
    this.#known = new KnownRuns(repository, this.#files, this.#stoppingText, timing.recordAgainMs, logger)
    this.#runSlots = new RunSlots(() => this.#known.askers(), options.maxRuns)
    this.#ordered = new OrderedRuns(repository, id => this.find(id))
    this.#purge = new RunPurge({
      repository,
      files: this.#files,
      retentionMs: () => config.retentionMs,
      now,
      uptime: options.uptime
    })
    this.#leases = new RunLeases(repository, this.#known, this.#starting, logger, timing.renewalMs)
    const reachability = new Reachability(neighbours)
    const isAskedDirectly = (id: string) => !config.fallbackCommand && neighbours.hasJoinedAsRelay?.(id) === true
    const isRelay = (id: string) => topology().isRelay(id)
    const canRunItself = (id: string) => !config.fallbackCommand || !isRelay(id)
    this.#context = {
      config,
      selfId,
      neighbours,
      hosts: new CommandHostPool(),
      commandLine: options.commandLine ?? commandLine,
      slots: new ConcurrencyLimiter(config.concurrency),
      linkSlots: new ConcurrencyLimiter(MAX_ASKED_LINKS, LINKS_PER_TURN),
      reachability,
      isRelay,
      isAskedDirectly,
      canRunItself,
      wayTo: id => {
        if (id === selfId || !canRunItself(id)) return undefined
        if (neighbours.linked(id) !== undefined) return 'link'
        return isAskedDirectly(id) ? 'direct' : undefined
      },
      isCrowded: () => this.#runSlots.isCrowded,
      nodeQueues: new NodeQueues(),
      repository,
      logger,
      timing,
      now
    }
  }

  async start(order: RunOrder): Promise<Run> {
    noteOrder()
    if (this.#stopping) throw new RelayError('STOPPING', this.#stoppingText)
    if (!this.options.config.enabled) {
      throw new RelayError('DISABLED', 'remote runs are switched off here; see remote_run.enabled')
    }
    const { orderKey } = order
    return orderKey === undefined ? this.#begin(order) : this.#ordered.start(orderKey, () => this.#begin(order))
  }

  async #begin(order: RunOrder): Promise<Run> {
    const id = order.runId ?? makeRunId(this.#context.now())
    checkAge(id, this.#context.now(), this.options.config.retentionMs)
    const known = this.#starting.get(id) ?? this.#known.getActive(id)
    if (known !== undefined) return known
    const starting = this.#startOnce(id, order)
    this.#starting.set(id, starting)
    try {
      return await starting
    } finally {
      this.#starting.delete(id)
    }
  }

  async #startOnce(id: string, order: RunOrder): Promise<Run> {
    const known = await this.#known.find(id)
    if (known !== undefined) return known
    const leave = this.#runSlots.take(order.origin.caller)
    try {
      return await this.#start(id, order)
    } finally {
      leave()
    }
  }

  async #start(id: string, order: RunOrder): Promise<Run> {
    const { selfId } = this.#context
    const passed = passOn(order.origin.passed, selfId)
    const plan = await this.#plan(order)
    const recorded = await this.#record(id, order, plan)
    if (recorded === undefined) return await this.#runOf(id)
    const { table, log } = recorded
    const { keepOutput, asynchronous, conditions, waitUntilMs, origin } = order
    const run = new ActiveRun(this.#context, {
      askedBy: askedBy(origin.caller),
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
    this.#known.follow(run)
    if (this.#stopping) await run.cancel(`${selfId} is stopping`)
    return run
  }

  /** The policy server knows of new nodes first: one that it asks for and is unknown here is looked for there, once. */
  async #plan(order: RunOrder): Promise<RunPlan> {
    const { topology, refreshTree, selfId, config } = this.options
    if (refreshTree !== undefined && order.nodes !== 'all' && order.origin.caller.kind === 'policy-server') {
      const tree = topology()
      const isNew = (id: string) => id !== selfId && !tree.isBelow(id)
      if (order.nodes.some(isNew)) await settledWithin(refreshTree(), TREE_LIMIT_MS)
    }
    if (topology().version === 0) {
      throw new RelayError('NO_TREE', `${selfId} has no tree yet, and so knows no node; ask again in a minute`)
    }
    return planRun(topology(), order, !config.fallbackCommand)
  }

  /**
   * Durable before anything starts, so that the same order is never carried out twice.
   * @returns undefined when another process began a run with this id meanwhile, or has taken it over
   */
  async #record(
    runId: string,
    order: RunOrder,
    plan: RunPlan
  ): Promise<{ readonly table: NodeTable; readonly log: EventLog } | undefined> {
    const { repository, logger, timing, now, wayTo } = this.#context
    const table = new NodeTable({ runId, repository, logger, recordDelayMs: timing.recordDelayMs })
    await table.addPlan(plan, wayTo)
    try {
      const begun = await repository.begin(newRun(runId, order, now()), table.records(), LEASE_MS, order.orderKey)
      if (begun === 'known') return undefined
      return { table, log: await this.#files.createLog(runId, logger) }
    } catch (error) {
      await this.#known.endUnbegun(runId, { state: 'interrupted', endedAtMs: now(), counts: {} })
      throw error
    }
  }

  async find(id: string): Promise<Run | undefined> {
    await this.#starting.get(id)?.catch(() => undefined) // the caller that ordered it is told why it did not start
    return this.#known.find(id)
  }

  record(id: string): Promise<RunRecord | undefined> {
    return this.#known.record(id)
  }

  list(limit: number, beforeId?: string): Promise<RunRecord[]> {
    return this.#known.list(limit, beforeId)
  }

  nodeRecords(id: string, limit: number, afterNode?: string): Promise<NodeRecord[]> {
    return this.#known.nodeRecords(id, limit, afterNode)
  }

  async #runOf(id: string): Promise<Run> {
    const run = await this.#known.find(id)
    if (run === undefined)
      throw new RelayError('CONFLICT', `run ${id} was ordered twice at once, and removed; order it anew`)
    return run
  }

  status(): { readonly running: number; readonly commandsRunning: number } {
    return { running: this.#runSlots.taken, commandsRunning: this.#context.slots.running }
  }

  async recover(treeLoaded: Promise<unknown> = Promise.resolve()): Promise<void> {
    await this.#files.makeFolder()
    // A full disk takes no reading, and is no reason not to start.
    await this.#purge.begin().catch((err: unknown) => this.#context.logger.warn({ err }, 'cannot note the time'))
    this.#leases.start()
    const claimed = this.#leases.recovering
    const resumable = await interruptUnfinished({ ...this.#context, files: this.#files, claimed })
    if (resumable.length > 0) await treeLoaded
    for (const id of resumable) {
      const run = await resumeRun(this.#context, this.#files, id, this.options)
      if (run !== undefined) this.#known.follow(run)
      claimed.delete(id)
    }
  }

  purgeExpired(signal: AbortSignal): Promise<number> {
    return this.#purge.purge(signal)
  }

  async drain(): Promise<void> {
    for (;;) {
      const ends = this.#known.active().map(run => (run.isWaiting ? this.#known.leaveToNextProcess(run) : run.ended))
      if (this.#starting.size + ends.length === 0) return
      await Promise.allSettled([...this.#starting.values(), ...ends])
    }
  }

  get #stoppingText(): string {
    return `${this.options.selfId} is stopping; ask again in a minute`
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.allSettled(this.#starting.values())
    const reason = `${this.options.selfId} is stopping`
    await Promise.all(this.#known.active().map(run => (run.isWaiting ? run.suspend(reason) : run.cancel(reason))))
    this.#known.stop()
    this.#leases.stop()
    await this.#context.hosts.close()
  }
}
