import { noteOrder } from '../process/pacing/bulk-pacing.js'
import { RelayError } from '../values/failures/relay-error.js'
import { LocalDispatch } from './dispatch/local-dispatch.js'
import type { DispatchOrder } from './dispatch/order.js'
import { dispatchToRelays } from './dispatch/relay-dispatch.js'
import type { EventLog } from './event-log/event-log.js'
import { followRun, type LocatedEvent, rereadLog } from './event-log/event-reader.js'
import type { NodeTable } from './progress/node-table.js'
import { allNodes, countNodes, describePlan, type RunPlan, unknownNode } from './progress/plan.js'
import type { RunProgress } from './progress/run-progress.js'
import { WaitDeadline } from './progress/wait-deadline.js'
import type { RunRecord, RunState } from './records/run-record.js'
import type { RunEnd } from './records/run-repository.js'
import type { RunContext } from './run-context.js'
import type { RunScope } from './run-scope.js'
import type { EventCursor, Run, RunEvent } from './run-types.js'

export interface ActiveRunParts {
  /** The caller, as its record names it. */
  readonly askedBy: string
  readonly order: DispatchOrder
  readonly plan: RunPlan
  readonly log: EventLog
  readonly table: NodeTable
  readonly progress: RunProgress
  /** The time until which the run waits for nodes that are not connected. */
  readonly waitUntilMs?: number | undefined
  /** The rest of a run that a former process began. */
  readonly resumed?: ResumedRun
}

/** The rest of a run that a former process left: nodes that run themselves, and may have ended meanwhile. */
export interface ResumedRun {
  readonly startedAtMs: number
  /** The nodes that are asked how the run ended there. */
  readonly linked: ReadonlySet<string>
}

/** The message for nodes of which nothing more can be learned. */
export const INTERRUPTED = 'the relay ended while this was under way'

/** A run under way in this process. */
export class ActiveRun implements Run {
  readonly id: string
  readonly order: Run['order']
  readonly anyStarted: Promise<boolean>
  readonly ended: Promise<void>
  readonly #cancelled = new AbortController()
  readonly #suspended = new AbortController()
  readonly #wait: WaitDeadline | undefined
  readonly #scope: RunScope
  readonly #local: LocalDispatch
  #tellStarted: (started: boolean) => void = () => undefined
  #outcome: RunState = 'running'
  #unrecorded: RunEnd | undefined

  constructor(
    private readonly context: RunContext,
    private readonly parts: ActiveRunParts
  ) {
    const { order } = parts
    this.id = order.runId
    this.order = { keepOutput: order.keepOutput, asynchronous: order.asynchronous }
    this.anyStarted = new Promise(resolve => {
      this.#tellStarted = resolve
    })
    const ended = AbortSignal.any([this.#cancelled.signal, this.#suspended.signal])
    if (parts.waitUntilMs !== undefined) {
      const nowMs = context.now()
      const startedAtMs = parts.resumed?.startedAtMs ?? nowMs
      this.#wait = new WaitDeadline(parts.waitUntilMs, nowMs, startedAtMs, parts.progress, ended)
    }
    this.#scope = {
      order,
      progress: parts.progress,
      wait: this.#wait,
      signal: this.#cancelled.signal,
      suspended: this.#suspended.signal,
      onStarted: () => this.#tellStarted(true)
    }
    this.#local = new LocalDispatch(context, this.#scope)
    parts.table.lost.addEventListener('abort', () => this.leaveToOther(String(parts.table.lost.reason)), { once: true })
    const work = parts.resumed === undefined ? this.#execute() : this.#goOn(parts.resumed)
    this.ended = work.catch((err: unknown) => {
      context.logger.error({ err, runId: this.id }, 'cannot finish run')
    })
  }

  get askedBy(): string {
    return this.parts.askedBy
  }

  get state(): RunState {
    return this.#outcome
  }

  /** The end of the run where the database did not take it. */
  get unrecordedEnd(): RunEnd | undefined {
    return this.#unrecorded
  }

  /** Records the end again that could not be recorded. @returns whether it is recorded */
  async recordEnd(): Promise<boolean> {
    if (this.#unrecorded === undefined) return true
    try {
      await this.parts.table.finish(this.#unrecorded)
      this.#unrecorded = undefined
      return true
    } catch {
      return false // which the log has said once
    }
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
    const outcome = () => {
      // its end is for the next process to tell
      if (this.#suspended.signal.aborted) throw new RelayError('STOPPING', String(this.#suspended.signal.reason))
      return this.#outcome === 'running' ? 'done' : this.#outcome
    }
    return followRun(this.parts.log, { after, signal, aliveMs }, { outcome, nodes: () => this.parts.table.records() })
  }

  reread(cursors: Iterable<EventCursor>): AsyncGenerator<RunEvent> {
    return rereadLog(this.parts.log.path, cursors)
  }

  async cancel(reason: string): Promise<void> {
    noteOrder()
    if (this.#outcome === 'running' && !this.#cancelled.signal.aborted) {
      this.#cancelled.abort(reason)
      await this.#local.cancel(reason)
    }
    await this.ended
  }

  /** Whether it waits for nodes that may come much later. */
  get isWaiting(): boolean {
    return this.#outcome === 'running' && this.#wait?.signal.aborted === false
  }

  /** Suspends the run as {@link suspend} does, once the commands that it started here have ended. */
  async suspendIdle(reason: string): Promise<void> {
    await this.#local.commandsEnded()
    if (this.#outcome === 'running') await this.suspend(reason)
  }

  /** Stops what runs here, and leaves what waits to the next process. */
  async suspend(reason: string): Promise<void> {
    this.#suspended.abort(reason)
    await this.cancel(reason)
  }

  /** Stops what runs here, of a run that another process has taken over: nothing more is recorded. */
  leaveToOther(reason: string): void {
    const { logger } = this.context
    if (this.#suspended.signal.aborted) return
    logger.warn({ runId: this.id }, 'run was taken over by another process of this relay')
    this.suspend(reason).catch((err: unknown) => logger.error({ err, runId: this.id }, 'cannot stop a run'))
  }

  async #execute(): Promise<void> {
    const { plan, progress, log } = this.parts
    const { selfId, now } = this.context
    const startedAtMs = now()
    log.append({ event: 'start', relay: selfId, message: describePlan(plan), node_count: countNodes(plan) })
    await this.#untilEnded([
      this.#local.run(plan.here),
      ...dispatchToRelays(this.context, this.#scope, plan.down),
      this.#refuseUnknown()
    ])
    if (this.#suspended.signal.aborted) return this.#leave()
    const cancelled = this.#cancelled.signal.aborted
    // whatever a fault left open must not look as if it were under way
    await progress.endOpen(allNodes(plan), selfId, { outcome: cancelled ? 'cancelled' : 'unknown' })
    const nothingToStart = plan.here.length === 0 && plan.down.size === 0
    this.#tellStarted(nothingToStart)
    await this.#finish(cancelled ? 'cancelled' : 'done', startedAtMs)
  }

  /** Continues what a former process left under way: the nodes that run themselves are asked how they ended. */
  async #goOn({ linked: asked, startedAtMs }: ResumedRun): Promise<void> {
    const { progress, table } = this.parts
    const { selfId } = this.context
    this.#tellStarted(true)
    const waiting = new Set(allNodes(this.parts.plan))
    const others = [...table.nodes()].filter(node => !asked.has(node) && !waiting.has(node))
    await progress.endOpen(others, selfId, { outcome: 'interrupted', message: INTERRUPTED })
    await this.#untilEnded([
      this.#local.resume(asked, INTERRUPTED),
      this.#local.run(this.parts.plan.here),
      ...dispatchToRelays(this.context, this.#scope, this.parts.plan.down)
    ])
    if (this.#suspended.signal.aborted) return this.#leave()
    const isWhole = table.counts().interrupted === undefined
    await this.#finish(this.#cancelled.signal.aborted ? 'cancelled' : isWhole ? 'done' : 'interrupted', startedAtMs)
  }

  async #untilEnded(parts: readonly Promise<void>[]): Promise<void> {
    for (const part of await Promise.allSettled(parts)) {
      if (part.status === 'rejected')
        this.context.logger.error({ err: part.reason, runId: this.id }, 'cannot finish a part of a run')
    }
  }

  /** Leaves the run to the next process: it stays as it is on disk. */
  async #leave(): Promise<void> {
    const { table, log } = this.parts
    await table.flush()
    await log.close()
  }

  #refuseUnknown(): Promise<void> {
    const { plan, progress } = this.parts
    const { selfId } = this.context
    const message = unknownNode('it', selfId)
    return progress.endOpen(plan.unknown, selfId, { outcome: 'refused', message })
  }

  /** The record first: who reads `end` and asks for the record finds it ended. */
  async #finish(state: 'done' | 'cancelled' | 'interrupted', startedAtMs: number): Promise<void> {
    const { table, log } = this.parts
    const { now, logger } = this.context
    this.#wait?.stop()
    const endedAtMs = now()
    const end = { state, endedAtMs, counts: table.counts() }
    try {
      if ((await table.finish(end)) === 'lost') return await log.close()
    } catch (err) {
      logger.error({ err, runId: this.id }, 'cannot record the end of a run')
      this.#unrecorded = end
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
