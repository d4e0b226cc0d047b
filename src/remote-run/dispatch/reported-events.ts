import { isNodeId } from '../../values/ids.js'
import type { RunEvent } from '../../values/runs/run-event.js'
import type { RunScope } from '../run-scope.js'
import { ForwardedOutput } from './forwarded-output.js'
import type { ExecutionContext, RemotePart } from './remote-part.js'
import { validBrokenHop } from './response-lines.js'
import type { StallWatch } from './stall-watch.js'

/** Error events taken from one sub-relay, beside one for each of its nodes. */
const MAX_ERRORS = 1_000

/** The events that a neighbour tells of its part of a run, as far as they are believed. */
export class ReportedEvents {
  readonly #output: ForwardedOutput
  #errorsLeft: number

  constructor(
    private readonly context: ExecutionContext,
    private readonly scope: RunScope,
    private readonly part: RemotePart,
    private readonly watch: StallWatch
  ) {
    const nodeCount = part.part.nodes.length
    this.#errorsLeft = MAX_ERRORS + nodeCount
    this.#output = new ForwardedOutput(scope.progress, context.config.maxOutputBytes, nodeCount)
  }

  take(event: RunEvent): void {
    switch (event.event) {
      case 'output':
        this.#takeOutput(event)
        break
      case 'node':
        this.#takeNode(event)
        break
      case 'error':
        this.#takeError(event)
        break
    }
  }

  #takeError({ node, message = '', ...event }: RunEvent): void {
    this.#errorsLeft -= 1
    if (this.#errorsLeft < 0 || (node !== undefined && !this.#isBelieved(node))) return
    this.scope.progress.error(this.#relayOf(event), message, node ?? this.part.node)
  }

  #takeNode({ node, outcome, exit_code: exitCode, duration_ms: durationMs, message, ...event }: RunEvent): void {
    const { progress } = this.scope
    const unreached = validBrokenHop(event.unreached)
    if (node === undefined || outcome === undefined || outcome === 'queued' || !this.#isBelieved(node)) return
    if (outcome !== 'running' || progress.table.get(node)?.outcome === 'queued') this.watch.goesOn()
    if (outcome === 'running') {
      progress.nodeRunning(node, this.#relayOf(event), Date.now())
    } else {
      progress.nodeEnded(node, this.#relayOf(event), { outcome, exitCode, durationMs, message, unreached })
      this.#output.forget(node)
    }
  }

  #takeOutput(event: RunEvent): void {
    const { node, data } = event
    if (data === undefined || !this.scope.order.keepOutput) return
    if (node !== undefined && !this.#isBelieved(node)) return
    this.#output.pass({ ...event, data, relay: this.#relayOf(event) })
  }

  /** Output of a hop that tells no events. */
  takeText(data: string): void {
    if (this.scope.order.keepOutput) this.#output.pass({ relay: this.part.hop.id, data })
  }

  /** Whether the hop is believed about a node: only about nodes that our own nodes list has below it, and once. */
  #isBelieved(node: string): boolean {
    const { hop, node: only } = this.part
    const { progress } = this.scope
    const isBelow = only === undefined ? progress.table.get(node)?.via === hop.id : node === only
    return isBelow && progress.table.isOpen(node)
  }

  #relayOf({ relay }: { readonly relay?: string }): string {
    if (this.part.node !== undefined) return this.context.selfId
    return relay !== undefined && isNodeId(relay) ? relay : this.part.hop.id
  }
}
