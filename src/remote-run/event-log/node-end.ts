import type { NodeRecord } from '../records/run-record.js'
import type { RunEvent } from '../run-types.js'

/** An event that tells the end of a node. */
export type NodeEndEvent = RunEvent & { readonly node: string; readonly outcome: NonNullable<RunEvent['outcome']> }

/** Whether `event` tells the end of a node. */
export function isNodeEnd(event: RunEvent): event is NodeEndEvent {
  return (
    event.event === 'node' && event.node !== undefined && event.outcome !== undefined && event.outcome !== 'running'
  )
}

/** Whether a node has ended, by its record. */
export function hasEnded({ outcome }: NodeRecord): boolean {
  return outcome !== 'queued' && outcome !== 'running'
}

/** The members of the event that tells the end of a node. */
export function endOf({
  node,
  outcome,
  exitCode,
  durationMs,
  message,
  unreached
}: NodeRecord): Omit<RunEvent, 'seq' | 'event' | 'run'> {
  return {
    node,
    outcome,
    ...(exitCode === undefined ? {} : { exit_code: exitCode }),
    ...(durationMs === undefined ? {} : { duration_ms: durationMs }),
    ...(message === undefined ? {} : { message }),
    ...(unreached === undefined ? {} : { unreached })
  }
}

/** Makes the record of a node from the event that tells its end. */
export function recordOf({ node, outcome, exit_code, duration_ms, message, unreached }: NodeEndEvent): NodeRecord {
  return { node, outcome, exitCode: exit_code, durationMs: duration_ms, message, unreached }
}
