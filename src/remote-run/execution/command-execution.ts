import type { PlannedNode } from '../progress/plan.js'
import type { NodeEnd } from '../progress/run-progress.js'
import type { RunContext } from '../run-context.js'
import type { RunScope } from '../run-scope.js'
import { type Batch, isUsableHostname, makeBatches } from './batches.js'
import type { CommandEnd, CommandLine, OutputStream } from './command.js'
import type { RunningCommand } from './command-host.js'
import type { CommandSource } from './concurrency-limiter.js'
import { OutputLimit } from './output-limit.js'

/** Nodes that commands run, and how. */
export interface NodesByCommand {
  readonly nodes: readonly PlannedNode[]
  readonly commandLine: CommandLine
  /** Whether a node should hold a link; it is run by the command because it holds none. */
  readonly isAway: (node: string) => boolean
}

/** The part of a run that this relay does itself, by commands. */
export class CommandExecution implements CommandSource {
  /** Resolves when every node has its outcome and no command runs. */
  readonly ended: Promise<void>
  readonly #batches: Iterator<Batch>
  readonly #running = new Set<RunningCommand>()
  #resolveEnded: () => void = () => undefined
  #allStarted = false
  #cancelReason: string | undefined

  constructor(
    private readonly context: Pick<RunContext, 'config' | 'hosts' | 'selfId' | 'timing' | 'now'>,
    private readonly scope: Pick<RunScope, 'order' | 'progress' | 'onStarted'>,
    private readonly part: NodesByCommand
  ) {
    this.#batches = makeBatches(this.#usableNodes(), context.config.batchSize)
    this.ended = new Promise(resolve => {
      this.#resolveEnded = resolve
    })
  }

  startNext(): Promise<void> | undefined {
    const next = this.#allStarted ? undefined : this.#batches.next()
    if (next === undefined || next.done === true) {
      this.#allStarted = true
      this.#endWhenDone()
      return undefined
    }
    return this.#run(next.value)
  }

  /** Starts nothing more and stops what runs; {@link ended} tells when that is done. */
  async cancel(reason: string): Promise<void> {
    if (this.#cancelReason !== undefined) return
    this.#cancelReason = reason
    this.#allStarted = true
    for (const command of this.#running) command.stop()
    const { progress } = this.scope
    const queued = this.part.nodes.filter(({ id }) => progress.table.get(id)?.outcome === 'queued').map(({ id }) => id)
    await progress.endOpen(queued, this.context.selfId, { outcome: 'cancelled', message: reason })
    this.#endWhenDone()
  }

  *#usableNodes(): Generator<PlannedNode> {
    const { progress } = this.scope
    for (const node of this.part.nodes) {
      if (isUsableHostname(node.hostname)) {
        yield node
      } else {
        const message = `the nodes list has no usable host name for it: ${JSON.stringify(node.hostname.slice(0, 80))}`
        progress.nodeEnded(node.id, this.context.selfId, { outcome: 'refused', message })
      }
    }
  }

  async #run(batch: Batch): Promise<void> {
    const { config, selfId, timing, now, hosts } = this.context
    const { order, progress, onStarted } = this.scope
    const startedAtMs = now()
    const began = performance.now()
    for (const { id } of batch) {
      progress.reachedBy(id, 'command')
      progress.nodeRunning(id, selfId, startedAtMs)
    }
    const limit = new OutputLimit(config.maxOutputBytes, batch.length)
    const hostnames = batch.map(node => node.hostname)
    const command: RunningCommand = hosts.start({
      ...this.part.commandLine(config, order.conditions, hostnames),
      timeoutMs: config.timeoutMs,
      killGraceMs: timing.killGraceMs,
      onStarted,
      onOutput: order.keepOutput ? (stream, lines) => this.#output(command, batch, limit, stream, lines) : undefined
    })
    this.#running.add(command)
    const end = await command.ended
    this.#running.delete(command)
    const durationMs = Math.round(performance.now() - began)
    for (const { id } of batch) progress.nodeEnded(id, selfId, { ...this.#nodeEnd(id, end), durationMs })
    this.#endWhenDone()
  }

  /** Output of a batch of several can't be told apart: it stands under the first, and says so. */
  #output(command: RunningCommand, batch: Batch, limit: OutputLimit, stream: OutputStream, lines: string): void {
    const { progress } = this.scope
    const { selfId } = this.context
    const node = batch[0].id
    const { kept, dropped } = limit.take(lines)
    if (kept !== '') {
      const shared = batch.length === 1 ? {} : { message: `output of a batch of ${batch.length} nodes` }
      progress.output({ node, relay: selfId, stream, data: kept, ...shared })
    }
    if (dropped !== undefined) progress.error(selfId, dropped, node)
    if (progress.isBehind) {
      command.pause()
      progress.ready().then(
        () => command.resume(),
        () => command.resume()
      )
    }
  }

  #nodeEnd(node: string, end: CommandEnd): NodeEnd {
    switch (end.kind) {
      case 'failed': {
        const isAway = this.part.isAway(node)
        const reason = isAway ? `it holds no link now, and by the command: ${end.reason}` : end.reason
        return { outcome: 'unreachable', message: reason, unreached: { from: this.context.selfId, to: node, reason } }
      }
      case 'lost':
        return this.#cancelReason === undefined
          ? { outcome: 'interrupted', message: `it had begun, and how it ended is not known: ${end.reason}` }
          : { outcome: 'cancelled', message: this.#cancelReason }
      case 'timed_out':
        return { outcome: 'timed_out', message: `stopped after ${this.context.config.timeoutMs / 1000} s` }
      case 'stopped':
        return { outcome: 'cancelled', message: this.#cancelReason }
      case 'exited': {
        const message = end.signal === null ? undefined : `ended by ${end.signal}`
        return { outcome: 'done', exitCode: end.exitCode, message }
      }
    }
  }

  #endWhenDone(): void {
    if (this.#allStarted && this.#running.size === 0) this.#resolveEnded()
  }
}
