import type { Worker } from 'node:worker_threads'
import { startWorker } from '../../process/start-worker.js'
import type { ImportRunAnswer, ImportRunRequest } from './import-run.js'

/**
 * Memory for new objects in the thread, in MiB: parsing a large list makes many that stay, and with the default each
 * is copied several times.
 */
const YOUNG_GENERATION_MB = 48

/** Starts a thread that makes one import. It says what became of it in a message, an `ImportRunAnswer`. */
export function startImportThread(request: ImportRunRequest): Worker {
  return startWorker('./import-worker.js', import.meta.url, {
    workerData: request,
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB }
  })
}

/** Resolves with what a thread says of its import. @throws {Error} when it says nothing */
export function answerOf(worker: Worker): Promise<ImportRunAnswer> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', code => reject(new Error(`the import ended with code ${code} and without an answer`)))
  })
}
