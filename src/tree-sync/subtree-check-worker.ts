import { parentPort, workerData } from 'node:worker_threads'
import { type CheckRequest, problemOf } from './subtree-check.js'

parentPort?.postMessage(problemOf(workerData as CheckRequest))
