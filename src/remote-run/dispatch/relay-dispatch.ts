import type { RunPlan } from '../progress/plan.js'
import type { WaitDeadline } from '../progress/wait-deadline.js'
import type { RunContext } from '../run-context.js'
import type { RunScope } from '../run-scope.js'
import { findHop } from './find-hop.js'
import { LegacyDispatchRecord } from './legacy/legacy-dispatch-record.js'
import { makeOrderParts, type OrderPart, renewOrderPart } from './order.js'
import { RemoteExecution } from './remote-execution.js'
import type { ExecutionContext } from './remote-part.js'

type Context = ExecutionContext & Pick<RunContext, 'neighbours' | 'reachability'>

/** The parts of a run that sub-relays do, all at once. Each resolves when its nodes have their outcome. */
export function dispatchToRelays(context: Context, run: RunScope, down: RunPlan['down']): Promise<void>[] {
  return [...down].flatMap(([relay, nodes]) =>
    makeOrderParts(run.order, nodes).map(part => forward(context, run, relay, part))
  )
}

async function forward(context: Context, run: RunScope, relay: string, part: OrderPart): Promise<void> {
  const { progress, wait, signal } = run
  const hop = findHop(context.neighbours, relay)
  if (hop instanceof Error) {
    progress.error(relay, hop.message)
    const unreached = { from: context.selfId, to: relay, reason: hop.message }
    return progress.endOpen(part.nodes, relay, { outcome: 'unreachable', message: hop.message, unreached })
  }
  if (wait === undefined) return new RemoteExecution(context, run, { hop, part }).run()
  const record = new LegacyDispatchRecord({ hop, nodes: part.nodes, table: progress.table, signal })
  const unprepared = await record.prepare()
  let away = unprepared === undefined ? undefined : { reason: unprepared, wasSent: false }
  if (away === undefined) {
    const onAway = (reason: string, wasSent: boolean) => {
      away = { reason, wasSent }
    }
    await new RemoteExecution(context, run, { hop, part, onAway, onText: () => record.recordLate() }).run()
    if (away !== undefined) await record.takeBack()
  }
  if (away !== undefined) await forwardLater(context, { ...run, wait }, relay, part, away)
}

/** A sub-relay that is away: its part of the run waits here. */
async function forwardLater(
  context: Context,
  run: RunScope & { readonly wait: WaitDeadline },
  relay: string,
  part: OrderPart,
  { reason, wasSent }: { readonly reason: string; readonly wasSent: boolean }
): Promise<void> {
  const { wait } = run
  try {
    await context.reachability.untilWorthTrying(relay, wait.signal, wasSent)
  } catch {
    return wait.expire(part.nodes, relay, { from: context.selfId, to: relay, reason })
  }
  return forward(context, run, relay, renewOrderPart({ ...run.order, waitSeconds: wait.seconds }, part))
}
