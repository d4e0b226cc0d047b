import { type CommandLine, ownCommandLine } from '../execution/command.js'
import { CommandExecution } from '../execution/command-execution.js'
import type { PlannedNode } from '../progress/plan.js'
import type { RunContext } from '../run-context.js'
import type { RunScope } from '../run-scope.js'
import { AgentDispatch, type NodesByLink } from './agent-dispatch.js'
import { type NotTaken, WHY_NOT_TAKEN } from './not-taken.js'

/** The part of a run that this relay does itself: each node over its link where there is one, by the command otherwise. */
export class LocalDispatch {
  readonly #executions = new Set<CommandExecution>()

  constructor(
    private readonly context: RunContext,
    private readonly scope: RunScope
  ) {}

  /** Resolves when each node has its outcome, or is left to the next process. */
  async run(nodes: readonly PlannedNode[]): Promise<void> {
    const { progress } = this.scope
    const linked: PlannedNode[] = []
    const others: PlannedNode[] = []
    const waiting: PlannedNode[] = []
    for (const node of nodes) {
      const reached = progress.table.get(node.id)?.reached
      if (reached === 'link' || reached === 'direct') linked.push(node)
      else if (this.#canWaitFor(node)) waiting.push(node)
      else others.push(node)
    }
    const waits = waiting.map(node => this.#waitFor(node))
    await Promise.all([this.#runLinked(linked), this.#runByCommand(others), ...waits])
  }

  async #runLinked(nodes: readonly PlannedNode[]): Promise<void> {
    if (nodes.length === 0) return
    const byCommand: Promise<void>[] = []
    const part = this.#linkedPart(nodes, (node, why, reason) => {
      const waits = why !== 'refused' && this.#canWaitFor(node)
      byCommand.push(waits ? this.#waitFor(node, why, reason) : this.#runByCommand([node], why, reason))
    })
    this.context.linkSlots.add(part)
    await part.ended
    await Promise.all(byCommand)
  }

  #canWaitFor({ id }: PlannedNode): boolean {
    const { reachability, canRunItself, selfId } = this.context
    return this.scope.wait !== undefined && id !== selfId && canRunItself(id) && reachability.shouldHoldLink(id)
  }

  async #waitFor(node: PlannedNode, why: NotTaken = 'away', found = ''): Promise<void> {
    const { table } = this.scope.progress
    const { selfId: from, reachability, isAskedDirectly } = this.context
    const { wait } = this.scope
    const isBusy = why === 'busy'
    const more = isBusy && found !== '' ? ` (${found})` : ''
    table.set(node.id, {
      outcome: 'queued',
      message: isBusy ? `waits until it takes runs again${more}` : 'waits for its link'
    })
    try {
      // a link says when it is there again, where it needs one
      if (wait !== undefined && (isBusy || isAskedDirectly(node.id))) {
        await reachability.untilWorthTrying(node.id, wait.signal, isBusy)
      } else if (wait !== undefined) await reachability.linked(node.id, wait.signal)
    } catch {
      const reason = isBusy ? `it took no runs${more}` : 'it held no link'
      return wait?.expire([node.id], from, { from, to: node.id, reason })
    }
    table.set(node.id, { outcome: 'queued', message: undefined })
    return this.#runLinked([node])
  }

  #linkedPart(nodes: readonly PlannedNode[], onNotLinked: NodesByLink['onNotLinked'] = () => undefined): AgentDispatch {
    return new AgentDispatch(this.context, this.scope, { nodes, onNotLinked })
  }

  /**
   * Runs nodes by the command. Without a command, a node that holds no link cannot be reached; this relay's own node
   * always can.
   */
  async #runByCommand(nodes: readonly PlannedNode[], why: NotTaken = 'away', reason = ''): Promise<void> {
    const { config, selfId, commandLine } = this.context
    const { ownArguments, fallbackCommand } = config
    if (fallbackCommand && ownArguments === undefined) return this.#startCommands(nodes, commandLine)
    const own = nodes.filter(({ id }) => id === selfId)
    const others = nodes.filter(({ id }) => id !== selfId)
    await Promise.all([
      ownArguments === undefined
        ? this.#startCommands(own, commandLine)
        : this.#startCommands(
            own.map(onThisMachine),
            ownCommandLine(() => ownArguments)
          ),
      fallbackCommand ? this.#startCommands(others, commandLine) : this.#tellUnreachable(others, why, reason)
    ])
  }

  /** @param found why a node takes no runs, or why a sub-relay could not be asked directly either */
  async #tellUnreachable(nodes: readonly PlannedNode[], why: NotTaken, found: string): Promise<void> {
    const { selfId, isAskedDirectly } = this.context
    for (const { id } of nodes) {
      const more = found !== '' && (why === 'busy' || isAskedDirectly(id)) ? ` (${found})` : ''
      const reason = `${WHY_NOT_TAKEN[why]}, and remote_run.fallback_command is false${more}`
      const unreached = { from: selfId, to: id, reason }
      await this.scope.progress.endOpen([id], selfId, { outcome: 'unreachable', message: reason, unreached })
    }
  }

  async #startCommands(nodes: readonly PlannedNode[], commandLine: CommandLine): Promise<void> {
    if (nodes.length === 0) return
    const { canRunItself, reachability, neighbours, slots } = this.context
    const { signal } = this.scope
    const isAway = (id: string) =>
      canRunItself(id) && reachability.shouldHoldLink(id) && neighbours.linked(id) === undefined
    const execution = new CommandExecution(this.context, this.scope, { nodes, commandLine, isAway })
    this.#executions.add(execution)
    if (signal.aborted) await execution.cancel(String(signal.reason))
    else slots.add(execution)
    await execution.ended
    this.#executions.delete(execution)
  }

  /** Asks nodes how an order of a former process ended there. @param lostMessage as of `RemoteExecution.resume` */
  async resume(nodes: Iterable<string>, lostMessage: string): Promise<void> {
    const part = this.#linkedPart([])
    await Promise.all([...nodes].map(id => part.resume({ id, hostname: '' }, lostMessage)))
  }

  /** Resolves when the commands have ended that were started here. */
  async commandsEnded(): Promise<void> {
    await Promise.all([...this.#executions].map(({ ended }) => ended))
  }

  /** Ends the commands; what was asked over links sees the signal. Resolves when none runs. */
  async cancel(reason: string): Promise<void> {
    await Promise.all([...this.#executions].map(execution => execution.cancel(reason)))
  }
}

/** The node of this machine without the name that the nodes list has for it: the name is not needed to run it. */
function onThisMachine({ id }: PlannedNode): PlannedNode {
  return { id, hostname: 'localhost' }
}
