import { UsageError } from '../command-error.js'

/** A relay takes 1 MiB of form (contract, "Remote run"); what is left is for the other fields. */
const MAX_LIST_BYTES = 1_000_000

/** `10%` of the nodes, or a number of them. */
export type BatchSize = { readonly percent: number } | { readonly count: number }

/** @throws {UsageError} when it is neither a number above 0 nor a percentage up to 100 */
export function parseBatchSize(text: string): BatchSize {
  const [, digits, percent] = /^(\d{1,9})(%?)$/.exec(text) ?? []
  const number = Number(digits)
  if (digits === undefined || number === 0 || (percent === '%' && number > 100)) {
    throw new UsageError(
      `--batch should be a number of nodes, or a percentage such as 10%, not ${JSON.stringify(text)}`
    )
  }
  return percent === '%' ? { percent: number } : { count: number }
}

/**
 * Splits nodes into lists that are run one after another. A percentage is rounded up.
 * @param size undefined: as few lists as a relay takes
 */
export function splitIntoBatches(nodes: readonly string[], size: BatchSize | undefined): string[][] {
  const most =
    size === undefined ? nodes.length : 'count' in size ? size.count : Math.ceil((nodes.length * size.percent) / 100)
  const batches: string[][] = []
  let batch: string[] = []
  let bytes = 0
  for (const node of nodes) {
    if (batch.length > 0 && (batch.length === most || bytes + node.length + 1 > MAX_LIST_BYTES)) {
      batches.push(batch)
      batch = []
      bytes = 0
    }
    batch.push(node)
    bytes += node.length + 1
  }
  return batch.length === 0 ? batches : [...batches, batch]
}
