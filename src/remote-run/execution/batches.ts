import type { PlannedNode } from '../progress/plan.js'

/**
 * Host names of one batch joined by commas, in bytes: well below the 128 KiB at which Linux refuses a single argument
 * (`MAX_ARG_STRLEN`, E2BIG).
 */
export const MAX_HOSTS_ARGUMENT_BYTES = 96 * 1024

/** Nodes that one command is started for. Never empty. */
export type Batch = readonly [PlannedNode, ...PlannedNode[]]

/** A host name without anything that a shell, a list with commas or an option parser would take for something else. */
const HOSTNAME = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,252}$/

/** Whether `hostname` can be handed to the command. */
export function isUsableHostname(hostname: string): boolean {
  return HOSTNAME.test(hostname)
}

/**
 * Cuts `nodes` into batches of at most `size` nodes and {@link MAX_HOSTS_ARGUMENT_BYTES}, in order, one at a time.
 * @param nodes with usable host names
 */
export function* makeBatches(nodes: Iterable<PlannedNode>, size: number): Generator<Batch> {
  let batch: [PlannedNode, ...PlannedNode[]] | undefined
  let bytes = 0
  for (const node of nodes) {
    const nodeBytes = node.hostname.length + 1
    if (batch !== undefined && (batch.length >= size || bytes + nodeBytes > MAX_HOSTS_ARGUMENT_BYTES)) {
      yield batch
      batch = undefined
    }
    if (batch === undefined) {
      batch = [node]
      bytes = 0
    } else {
      batch.push(node)
    }
    bytes += nodeBytes
  }
  if (batch !== undefined) yield batch
}
