import { type CountedOutcome, countedOutcome, type NodeOutcome, type RunEvent } from '../../values/runs/run-event.js'

interface NodeState {
  readonly outcome: NodeOutcome
  readonly exitCode: number | undefined
}

const UNDER_WAY: ReadonlySet<NodeOutcome> = new Set(['queued', 'running'])

/** Counts what becomes of the nodes of one command, over all its batches. */
export class RunTally {
  readonly #nodes = new Map<string, NodeState>()
  /** Nodes under each name of {@link counts}. */
  readonly #counts = new Map<string, number>()
  #errors = 0
  /** The number of nodes that relays say their runs are for. */
  #announced = 0
  #hasStarted = false
  #run: string | undefined

  /** Nodes that are asked for by name: each of them must be heard of. */
  expect(nodes: readonly string[]): void {
    for (const node of nodes) if (!this.#nodes.has(node)) this.#set(node, { outcome: 'queued', exitCode: undefined })
  }

  /** @returns a line that tells of a failure, if the event is one */
  take(event: RunEvent): string | undefined {
    this.#run = event.run
    if (event.event === 'start') {
      this.#hasStarted = true
      this.#announced += event.node_count ?? 0
    }
    if (event.event === 'error') return this.fail(event.message ?? 'no reason given', event.node ?? event.relay)
    if (event.event === 'end' && event.outcome !== undefined && event.outcome !== 'done') {
      return this.fail(event.message ?? `the run is ${event.outcome}`, event.relay)
    }
    if (event.event !== 'node' || event.node === undefined || event.outcome === undefined) return undefined
    const state = { outcome: event.outcome, exitCode: event.exit_code }
    this.#set(event.node, state)
    return isFailure(state) ? describeFailure(event.node, state, event.message) : undefined
  }

  /** Notes a failure of the run as a whole. @returns a line that tells of it */
  fail(message: string, where?: string): string {
    this.#errors += 1
    return `error: ${where === undefined ? '' : `${where}: `}${message}`
  }

  /** Gives this outcome to each node that was still under way when the stream ended. */
  endOpen(outcome: 'cancelled' | 'unknown'): void {
    for (const [node, state] of this.#nodes) {
      if (UNDER_WAY.has(state.outcome)) this.#set(node, { outcome, exitCode: undefined })
    }
  }

  /** Nodes whose outcome is final and not a success. */
  get failureCount(): number {
    let count = 0
    for (const [name, nodes] of this.#counts) if (!['done', 'queued', 'running'].includes(name)) count += nodes
    return count
  }

  /** All nodes are done, and there were some. */
  get isSuccess(): boolean {
    return this.#nodes.size > 0 && this.#errors === 0 && (this.#counts.get('done') ?? 0) === this.#nodes.size
  }

  /** A run has begun, and was for no node. */
  get isEmpty(): boolean {
    return this.#nodes.size === 0 && this.#errors === 0
  }

  /** A failure to note where a relay has not told of each node, as with a disk that takes no events. */
  unheard(): string | undefined {
    if (this.#run === undefined || this.#errors > 0) return undefined
    const count = this.#announced - this.#nodes.size
    if (this.#hasStarted && count <= 0) return undefined
    const whom = count <= 0 ? 'each node' : `${count} ${count === 1 ? 'node' : 'nodes'}`
    return `the relay did not tell what became of ${whom}: see treeline runs show ${this.#run}`
  }

  /** How many nodes have each outcome; `failed` are those that are done with an exit code other than 0. */
  counts(): Record<string, number> {
    return Object.fromEntries([...this.#counts].filter(([, count]) => count > 0))
  }

  /** `12 of 100 done, 3 running, 1 failed`. */
  describe(): string {
    const { done = 0, ...others } = this.counts()
    const shown = Object.entries(others).map(([name, count]) => `${count} ${name.replace('_', ' ')}`)
    const errors = this.#errors === 0 ? [] : [`${this.#errors} ${this.#errors === 1 ? 'error' : 'errors'}`]
    return [`${done} of ${this.#nodes.size} done`, ...shown, ...errors].join(', ')
  }

  #set(node: string, state: NodeState): void {
    const former = this.#nodes.get(node)
    if (former !== undefined) this.#count(former, -1)
    this.#count(state, 1)
    this.#nodes.set(node, state)
  }

  #count(state: NodeState, by: number): void {
    const name = nameOf(state)
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + by)
  }
}

function nameOf({ outcome, exitCode }: NodeState): CountedOutcome {
  return countedOutcome(outcome, exitCode)
}

function isFailure(state: NodeState): boolean {
  return nameOf(state) !== 'done' && !UNDER_WAY.has(state.outcome)
}

function describeFailure(node: string, { outcome, exitCode }: NodeState, message: string | undefined): string {
  const what = outcome === 'done' ? `failed, exit code ${exitCode ?? 'unknown'}` : outcome.replace('_', ' ')
  return `${node}: ${what}${message === undefined || message === '' ? '' : `: ${message}`}`
}
