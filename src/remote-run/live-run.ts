import type { Config } from '../config/config.js'
import type { RunStore } from '../storage/run-store.js'
import type { Neighbours } from '../tree/hop.js'
import type { Logger } from '../values/logger.js'
import type { CommandLine } from './command.js'
import type { CommandHosts } from './command-hosts.js'
import type { CommandSlots } from './command-slots.js'
import type { Connections } from './connections.js'
import type { EventLog } from './event-log.js'
import { followRun, type LocatedEvent, rereadLog } from './event-reader.js'
import type { ForwardOrder } from './forward-order.js'
import { forwardAll } from './forwarding.js'
import { LinkedPart, type LinkedPartOptions } from './linked-part.js'
import { LocalPart } from './local-part.js'
import type { NodeTable } from './node-table.js'
import type { PlannedNode, RunPlan } from './plan.js'
import type { RunProgress } from './run-progress.js'
import { RunWait } from './run-wait.js'
import type { RunTiming } from './timing.js'
import type { EventPlace, Run, RunEvent, RunRecord, RunState } from './types.js'

/** What all runs of a relay share. */
export interface RunContext {
  readonly config: Config['remoteRun']
  readonly selfId: string
  readonly neighbours: Neighbours
  readonly commandLine: CommandLine
  readonly slots: CommandSlots
  /** For orders over links. */
  readonly linkSlots: CommandSlots
  readonly hosts: CommandHosts
  /** A sub-relay does not: over its link it is asked for what is below it, and is unknown to itself (contract). */
  readonly canRunItself: (node: string) => boolean
  readonly connections: Connections
  readonly store: RunStore
  readonly commit: (work: () => void) => Promise<void>
  readonly logger: Logger
  readonly timing: RunTiming
  readonly now: () => number
}

export interface LiveRunParts {
  readonly order: ForwardOrder
  readonly plan: RunPlan
  readonly log: EventLog
  readonly table: NodeTable
  readonly progress: RunProgress
  /** Until when nodes that are not connected are waited for. */
  readonly waitUntilMs?: number | undefined
  /** Where a former process began the run. */
  readonly resumed?: ResumedRun
}

/** What a former process left of a run: nodes that run themselves, and may have ended meanwhile. */
export interface ResumedRun {
  readonly startedAtMs: number
  /** The nodes that are asked, each with how many of its outputs are in the log. */
  readonly outputs: ReadonlyMap<string, number>
}

/** What became of nodes of which nothing more can be learned. */
export const INTERRUPTED = 'the relay ended while this was under way'

/** A run under way in this process. */
export class LiveRun implements Run {
  readonly id: string
  readonly order: Run['order']
  readonly anyStarted: Promise<boolean>
  readonly ended: Promise<void>
  readonly #cancelled = new AbortController()
  readonly #suspended = new AbortController()
  readonly #wait: RunWait | undefined
  readonly #locals = new Set<LocalPart>()
  #tellStarted: (started: boolean) => void = () => undefined
  #outcome: RunState = 'running'

  constructor(
    private readonly context: RunContext,
    private readonly parts: LiveRunParts
  ) {
    const { order } = parts
    this.id = order.runId
    this.order = { keepOutput: order.keepOutput, asynchronous: order.asynchronous }
    this.anyStarted = new Promise(resolve => {
      this.#tellStarted = resolve
    })
    const ended = AbortSignal.any([this.#cancelled.signal, this.#suspended.signal])
    if (parts.waitUntilMs !== undefined) {
      this.#wait = new RunWait(parts.waitUntilMs, context.now, parts.progress, ended)
    }
    const work = parts.resumed === undefined ? this.#execute() : this.#goOn(parts.resumed)
    this.ended = work.catch((err: unknown) => {
      context.logger.error({ err, runId: this.id }, 'a remote run could not be brought to its end')
    })
  }

  get state(): RunState {
    return this.#outcome
  }

  counts(): RunRecord['counts'] {
    return this.parts.table.counts()
  }

  get table(): NodeTable {
    return this.parts.table
  }

  async *events(after: number, signal: AbortSignal): AsyncGenerator<RunEvent> {
    for await (const { event } of this.located(after, signal)) yield event
  }

  located(after: number, signal: AbortSignal): AsyncGenerator<LocatedEvent> {
    const { aliveMs } = this.context.timing
    return followRun(this.parts.log, { after, signal, aliveMs }, () =>
      this.#outcome === 'running' ? 'done' : this.#outcome
    )
  }

  reread(places: Iterable<EventPlace>): AsyncGenerator<RunEvent> {
    return rereadLog(this.parts.log.path, places)
  }

  async cancel(reason: string): Promise<void> {
    if (this.#outcome === 'running' && !this.#cancelled.signal.aborted) {
      this.#cancelled.abort(reason)
      await Promise.all([...this.#locals].map(local => local.cancel(reason)))
    }
    await this.ended
  }

  /** Whether it waits for nodes that may come much later. */
  get isWaiting(): boolean {
    return this.#outcome === 'running' && this.#wait?.signal.aborted === false
  }

  /** Stops what runs here, and leaves what waits to the next process. */
  async suspend(reason: string): Promise<void> {
    this.#suspended.abort(reason)
    await this.cancel(reason)
  }

  async #execute(): Promise<void> {
    const { plan, progress, log } = this.parts
    const { selfId, now } = this.context
    const startedAtMs = now()
    log.append({ event: 'start', relay: selfId, message: summary(plan) })
    await this.#untilEnded([this.#runHere(), ...this.#forwards(), this.#refuseUnknown()])
    if (this.#suspended.signal.aborted) return this.#leave()
    const cancelled = this.#cancelled.signal.aborted
    // whatever a fault left open must not look as if it were under way
    await progress.settle(allNodes(plan), selfId, { outcome: cancelled ? 'cancelled' : 'unknown' })
    const nothingToStart = plan.here.length === 0 && plan.down.size === 0
    this.#tellStarted(nothingToStart)
    await this.#finish(cancelled ? 'cancelled' : 'done', startedAtMs)
  }

  /** What a former process left under way: the nodes that run themselves are asked how they ended. */
  async #goOn({ outputs, startedAtMs }: ResumedRun): Promise<void> {
    const { progress, table } = this.parts
    const { selfId } = this.context
    this.#tellStarted(true)
    const waiting = new Set(allNodes(this.parts.plan))
    const others = [...table.nodes()].filter(node => !outputs.has(node) && !waiting.has(node))
    await progress.settle(others, selfId, { outcome: 'interrupted', message: INTERRUPTED })
    const linked = this.#linkedPart([])
    await this.#untilEnded([
      ...[...outputs].map(([id, count]) =>
        linked.resume({ id, hostname: '' }, { outputs: count, message: INTERRUPTED })
      ),
      this.#runHere(),
      ...this.#forwards()
    ])
    if (this.#suspended.signal.aborted) return this.#leave()
    const isWhole = table.counts().interrupted === undefined
    await this.#finish(this.#cancelled.signal.aborted ? 'cancelled' : isWhole ? 'done' : 'interrupted', startedAtMs)
  }

  async #untilEnded(parts: readonly Promise<void>[]): Promise<void> {
    for (const part of await Promise.allSettled(parts)) {
      if (part.status === 'rejected')
        this.context.logger.error({ err: part.reason, runId: this.id }, 'a run has a fault')
    }
  }

  async #runHere(): Promise<void> {
    const { plan, progress } = this.parts
    const linked: PlannedNode[] = []
    const others: PlannedNode[] = []
    const waiting: PlannedNode[] = []
    for (const node of plan.here) {
      if (progress.table.get(node.id)?.reached === 'link') linked.push(node)
      else if (this.#canWaitFor(node)) waiting.push(node)
      else others.push(node)
    }
    const waits = waiting.map(node => this.#waitFor(node))
    await Promise.all([this.#runLinked(linked), this.#runByCommand(others), ...waits])
  }

  async #runLinked(nodes: readonly PlannedNode[]): Promise<void> {
    if (nodes.length === 0) return
    const byCommand: Promise<void>[] = []
    const part = this.#linkedPart(nodes, (node, why) => {
      const waits = why === 'away' && this.#canWaitFor(node)
      byCommand.push(waits ? this.#waitFor(node) : this.#runByCommand([node]))
    })
    this.context.linkSlots.add(part)
    await part.ended
    await Promise.all(byCommand)
  }

  #canWaitFor({ id }: PlannedNode): boolean {
    const { connections, canRunItself } = this.context
    return this.#wait !== undefined && canRunItself(id) && connections.hasHeldLink(id)
  }

  async #waitFor(node: PlannedNode): Promise<void> {
    const { table } = this.parts.progress
    table.set(node.id, { outcome: 'queued', message: 'waits for its link' })
    try {
      if (this.#wait !== undefined) await this.context.connections.linked(node.id, this.#wait.signal)
    } catch {
      const { selfId: from } = this.context
      return this.#wait?.expire([node.id], from, { from, to: node.id, reason: 'it held no link' })
    }
    table.set(node.id, { outcome: 'queued', message: undefined })
    return this.#runLinked([node])
  }

  /** To the next process: the run stays as it is on disk. */
  async #leave(): Promise<void> {
    const { table, log } = this.parts
    await table.flush()
    await log.close()
  }

  #linkedPart(
    nodes: readonly PlannedNode[],
    onNotLinked: LinkedPartOptions['onNotLinked'] = () => undefined
  ): LinkedPart {
    const { order, progress } = this.parts
    const { neighbours, selfId, config, timing } = this.context
    return new LinkedPart({
      nodes,
      order,
      neighbours,
      selfId,
      maxOutputBytes: config.maxOutputBytes,
      progress,
      timing,
      signal: this.#cancelled.signal,
      onStarted: () => this.#tellStarted(true),
      onNotLinked
    })
  }

  async #runByCommand(nodes: readonly PlannedNode[]): Promise<void> {
    const { order, progress } = this.parts
    const { config, commandLine, hosts, selfId, timing, now, slots } = this.context
    const local = new LocalPart({
      nodes,
      conditions: order.conditions,
      keepOutput: order.keepOutput,
      config,
      commandLine,
      hosts,
      selfId,
      progress,
      killGraceMs: timing.killGraceMs,
      now,
      onStarted: () => this.#tellStarted(true)
    })
    this.#locals.add(local)
    if (this.#cancelled.signal.aborted) await local.cancel(String(this.#cancelled.signal.reason))
    else slots.add(local)
    await local.ended
    this.#locals.delete(local)
  }

  #forwards(): Promise<void>[] {
    const { plan, order, progress } = this.parts
    const { selfId, neighbours, connections, config, timing } = this.context
    const options = {
      selfId,
      order,
      neighbours,
      connections,
      maxOutputBytes: config.maxOutputBytes,
      progress,
      timing,
      wait: this.#wait,
      signal: this.#cancelled.signal,
      suspended: this.#suspended.signal,
      onStarted: () => this.#tellStarted(true)
    }
    return forwardAll(options, plan.down)
  }

  #refuseUnknown(): Promise<void> {
    const { plan, progress } = this.parts
    const { selfId } = this.context
    const message = `unknown node: it is not below ${selfId}`
    return progress.settle(plan.unknown, selfId, { outcome: 'refused', message })
  }

  /** The record first: who reads `end` and asks for the record finds it ended. */
  async #finish(state: 'done' | 'cancelled' | 'interrupted', startedAtMs: number): Promise<void> {
    const { table, log } = this.parts
    const { store, commit, now, logger } = this.context
    this.#wait?.stop()
    const endedAtMs = now()
    const counts = JSON.stringify(table.counts())
    try {
      await table.flush()
      await commit(() => store.endRun(this.id, state, endedAtMs, counts))
    } catch (err) {
      logger.error({ err, runId: this.id }, 'the end of a run could not be recorded')
    }
    this.#outcome = state
    log.append({
      event: 'end',
      relay: this.context.selfId,
      outcome: state,
      duration_ms: endedAtMs - startedAtMs
    })
    await log.close()
  }
}

function summary({ here, down, unknown }: RunPlan): string {
  const relays = [...down].map(([relay, nodes]) => `${nodes.length} below ${relay}`).slice(0, 10)
  const more = down.size > relays.length ? [`and ${down.size - relays.length} more relays`] : []
  const strangers = unknown.length === 0 ? [] : [`${unknown.length} unknown`]
  const nodesHere = `${here.length} ${here.length === 1 ? 'node' : 'nodes'} here`
  return [nodesHere, ...relays, ...more, ...strangers].join(', ')
}

function* allNodes({ here, down, unknown }: RunPlan): Generator<string> {
  for (const { id } of here) yield id
  for (const nodes of down.values()) yield* nodes
  yield* unknown
}
