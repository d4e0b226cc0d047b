import type { NodeRecord } from './run-record.js'
import type { RunRepository } from './run-repository.js'

const RECORDS_PER_PAGE = 1_000

/** All nodes of a run as they are recorded, a page at a time, in the order of their ids. */
export async function* nodePages(
  repository: Pick<RunRepository, 'nodes'>,
  runId: string
): AsyncGenerator<NodeRecord[]> {
  for (let after: string | undefined; ; ) {
    const records = await repository.nodes(runId, RECORDS_PER_PAGE, after)
    after = records.at(-1)?.node
    if (after === undefined) return
    yield records
  }
}
