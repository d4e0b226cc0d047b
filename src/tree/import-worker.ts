import { parentPort, workerData } from 'node:worker_threads'
import { checkpoint, holdBackCheckpoints } from '../storage/checkpoint.js'
import { openDatabase } from '../storage/database.js'
import { createTopologyStore } from '../storage/topology-store.js'
import { type ImportRequest, importTree, readStoredTree, type StoredTree } from './import-tree.js'
import { buffersOf } from './packed-parts.js'

export interface WorkerRequest extends ImportRequest {
  readonly databaseFile: string
  /** The import whose tree the relay has; 0 for none. */
  readonly knownGeneration: number
}

export interface WorkerAnswer {
  /** Why the files could not be imported; undefined when they were, or have not changed. */
  readonly failure: string | undefined
  /** The tree in the database, unless it is the one that the relay has, or there is none. */
  readonly tree: StoredTree | undefined
}

/**
 * Runs once: imports, hands over the tree, ends. In a thread of its own because reading 100,000 nodes takes half a
 * second, and the memory that it takes goes with the thread.
 */
function run(request: WorkerRequest): void {
  const db = openDatabase(request.databaseFile, 'topology')
  try {
    holdBackCheckpoints(db)
    const store = createTopologyStore(db)
    let failure: string | undefined
    let tree: StoredTree | undefined
    try {
      tree = importTree(store, request, Date.now())
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error)
    }
    const isKnown = store.lastImport()?.generation === request.knownGeneration
    if (!tree && !isKnown) tree = readStoredTree(store, request.selfId)
    const answer: WorkerAnswer = { failure, tree }
    parentPort?.postMessage(answer, tree ? buffersOf(tree.packed) : [])
    // last, when the tree is already in use
    checkpoint(db)
  } finally {
    db.close()
  }
}

run(workerData as WorkerRequest)
