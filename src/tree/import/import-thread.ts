import type { Worker } from 'node:worker_threads'
import { startWorker } from '../../process/start-worker.js'
import type { ImportRunRequest } from './import-run.js'

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
