import { type Caller, isCallerKind } from '../../network/caller.js'
import type { NewRun } from '../records/run-repository.js'
import type { RunOrder } from '../run-types.js'

/** The record of a run that is about to start. */
export function newRun(id: string, order: RunOrder, startedAtMs: number): NewRun {
  return {
    id,
    askedBy: askedBy(order.origin.caller),
    nodes: order.nodes === 'all' ? 'all' : 'list',
    conditions: order.conditions,
    keepOutput: order.keepOutput,
    asynchronous: order.asynchronous,
    startedAtMs,
    waitUntilMs: order.waitUntilMs
  }
}

/** The name that records of runs have for a caller. */
export function askedBy({ kind, id, address }: Caller): string {
  return `${kind} ${id ?? address}`
}

/** The caller that has such a name, as far as it tells; an unknown kind is that of a stranger. */
export function askerNamed(name: string): Caller {
  const [kind = '', who = ''] = name.split(' ', 2)
  if (kind === 'relay' || kind === 'node') return { kind, id: who, address: '' }
  return { kind: isCallerKind(kind) ? kind : 'network', address: who }
}
