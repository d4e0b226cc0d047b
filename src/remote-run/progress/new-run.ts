import type { NewRun } from '../run-repository.js'
import type { RunOrder } from '../types.js'

/** The record of a run that is about to start. */
export function newRun(id: string, order: RunOrder, startedAtMs: number): NewRun {
  const { caller } = order.origin
  return {
    id,
    askedBy: caller.id === undefined ? `${caller.kind} ${caller.address}` : `${caller.kind} ${caller.id}`,
    nodes: order.nodes === 'all' ? 'all' : 'list',
    conditions: order.conditions,
    keepOutput: order.keepOutput,
    asynchronous: order.asynchronous,
    startedAtMs,
    waitUntilMs: order.waitUntilMs
  }
}
