import type { Neighbours } from '../../hops/hop.js'
import type { RunPlan } from '../progress/plan.js'
import type { RunProgress } from '../progress/run-progress.js'
import type { RunTiming } from '../progress/timing.js'
import type { RunWait } from '../progress/wait-deadline.js'
import { findHop } from './find-hop.js'
import { GivenOnce } from './legacy-dispatch-record.js'
import { type ForwardOrder, makeOrderParts, type OrderPart, renewOrderPart } from './order.js'
import type { Connections } from './reachability.js'
import { ForwardedPart } from './remote-execution.js'

export interface ForwardingOptions {
  readonly selfId: string
  readonly order: ForwardOrder
  readonly neighbours: Neighbours
  readonly connections: Connections
  readonly maxOutputBytes: number
  readonly progress: RunProgress
  readonly timing: RunTiming
  /** Undefined: sub-relays that are away are not waited for. */
  readonly wait: RunWait | undefined
  readonly signal: AbortSignal
  readonly suspended: AbortSignal
  readonly onStarted: () => void
}

/** The parts of a run that sub-relays do, all at once. Each resolves when its nodes have their outcome. */
export function forwardAll(options: ForwardingOptions, down: RunPlan['down']): Promise<void>[] {
  return [...down].flatMap(([relay, nodes]) =>
    makeOrderParts(options.order, nodes).map(part => forward(options, relay, part))
  )
}

async function forward(options: ForwardingOptions, relay: string, part: OrderPart): Promise<void> {
  const { order, progress, neighbours, wait, ...common } = options
  const hop = findHop(neighbours, relay)
  if (hop instanceof Error) {
    progress.error(relay, hop.message)
    const unreached = { from: options.selfId, to: relay, reason: hop.message }
    return progress.settle(part.nodes, relay, { outcome: 'unreachable', message: hop.message, unreached })
  }
  const { keepOutput, asynchronous } = order
  const partOptions = { ...common, hop, part, keepOutput, asynchronous, progress }
  if (wait === undefined) return new ForwardedPart(partOptions).run()
  const given = new GivenOnce({ hop, nodes: part.nodes, table: progress.table, signal: options.signal })
  const unprepared = await given.prepare()
  let away = unprepared === undefined ? undefined : { reason: unprepared, wasSent: false }
  if (away === undefined) {
    const onAway = (reason: string, wasSent: boolean) => {
      away = { reason, wasSent }
    }
    await new ForwardedPart({ ...partOptions, onAway, onText: () => given.recordLate() }).run()
    if (away !== undefined) await given.takeBack()
  }
  if (away !== undefined) await forwardLater(options, wait, relay, part, away)
}

/** A sub-relay that is away: its part of the run waits here. */
async function forwardLater(
  options: ForwardingOptions,
  wait: RunWait,
  relay: string,
  part: OrderPart,
  { reason, wasSent }: { readonly reason: string; readonly wasSent: boolean }
): Promise<void> {
  try {
    await options.connections.worthTrying(relay, wait.signal, wasSent)
  } catch {
    return wait.expire(part.nodes, relay, { from: options.selfId, to: relay, reason })
  }
  return forward(options, relay, renewOrderPart({ ...options.order, waitSeconds: wait.seconds }, part))
}
