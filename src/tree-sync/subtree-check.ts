import type { Worker } from 'node:worker_threads'
import { readRegularFile, readRegularFileSync } from '../file-system/files/regular-file.js'
import { startWorker } from '../process/start-worker.js'
import { NodesListError, parseNodesList } from '../tree/import/nodes-list.js'
import { errorMessage } from '../values/failures/system-error.js'

/** The size up to which a list is checked without a thread. */
const SMALL_BYTES = 256 * 1024

export interface CheckRequest {
  readonly listFile: string
  readonly selfId: string
}

/**
 * Whether a nodes list can be imported, and is that of `selfId`: it and what is below it, nothing else.
 * @throws {NodesListError}
 */
export function checkSubtree(text: string, selfId: string): void {
  const source = 'from the policy server'
  const fail = (what: string) => new NodesListError(`cannot use the nodes list ${source}: ${what}`)
  const { nodes, ids, parents } = parseNodesList(text, source)
  const self = ids.indexOf(selfId)
  if (self < 0 || self >= nodes.length) throw fail(`it is without this relay, ${selfId}`)
  // There are no cycles, so every chain leads to where it leaves the list, or to a root.
  for (const [number, parent] of parents.entries()) {
    const isOutside = parent >= nodes.length || parent === number
    if (isOutside !== (number === self)) {
      const policyServer = ids[parent] ?? ''
      throw fail(
        number === self
          ? `it has this relay, ${selfId}, below ${policyServer}, which is in the list itself`
          : `it has ${ids[number] ?? ''} under ${policyServer}, which is not below this relay, ${selfId}`
      )
    }
  }
}

/** {@link checkSubtree} of a file; a large one in a thread of its own, so that requests go on. */
export async function checkSubtreeFile({ listFile, selfId }: CheckRequest, sizeLimit = SMALL_BYTES): Promise<void> {
  const bytes = await readRegularFile(listFile)
  if (bytes.length <= sizeLimit) return checkSubtree(bytes.toString('utf8'), selfId)
  const request: CheckRequest = { listFile, selfId }
  const problem = await answerOf(startWorker('./subtree-check-worker.js', import.meta.url, { workerData: request }))
  if (problem !== undefined) throw new NodesListError(problem)
}

/** @returns what is wrong with it, for the thread */
export function problemOf({ listFile, selfId }: CheckRequest): string | undefined {
  try {
    checkSubtree(readRegularFileSync(listFile).toString('utf8'), selfId)
    return undefined
  } catch (error) {
    return errorMessage(error)
  }
}

function answerOf(worker: Worker): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', code => reject(new Error(`the check of the nodes list ended with code ${code}`)))
  })
}
