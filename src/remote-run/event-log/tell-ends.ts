import type { NodeRecord } from '../records/run-record.js'
import type { EventLog } from './event-log.js'
import { endOf, hasEnded } from './node-end.js'

/** Logs the ends of nodes that are recorded, and that the log does not tell: the disk took them into no log. */
export async function tellEnds(log: EventLog, nodes: Iterable<NodeRecord>, told: ReadonlySet<string>): Promise<void> {
  for (const node of nodes) {
    if (!hasEnded(node) || told.has(node.node)) continue
    log.append({ event: 'node', ...endOf(node) })
    if (log.isFull) await log.drained()
  }
}
