import { types } from 'node:util'
import { parentPort, workerData } from 'node:worker_threads'
import { errorMessage } from '../../values/failures/system-error.js'
import { buffersOf } from '../index/packed-parts.js'
import { type ImportRunRequest, runImport } from './import-run.js'

/**
 * Runs once: imports, hands over the tree, ends. In a thread of its own because reading 100,000 nodes takes half a
 * second, and the memory that it takes goes with the thread.
 */
try {
  runImport(workerData as ImportRunRequest, answer => {
    parentPort?.postMessage(answer, answer.tree ? buffersOf(answer.tree.packed) : [])
  })
} catch (error) {
  // An error of SQLite's own leaves the thread as an object without its message.
  throw types.isNativeError(error) ? error : new Error(errorMessage(error))
}
