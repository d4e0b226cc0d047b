import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { buildApp } from '../api/app.js'
import { createMetrics, type Metrics } from '../api/metrics.js'
import type { Config } from '../config/config.js'
import { startJobs } from '../jobs/jobs.js'
import { createRemoteRuns } from '../remote-run/remote-runs.js'
import { createSharedFiles } from '../shared-files/shared-files.js'
import { createSharedFolder } from '../shared-folder/shared-folder.js'
import { type Database, openDatabase } from '../storage/database.js'
import { createNeighbourStore } from '../storage/neighbour-store.js'
import { createNeighbours } from '../tree/neighbours.js'
import type { Tree } from '../tree/tree-service.js'
import { createCertificateBook } from './certificates.js'
import { openListeners } from './listeners.js'
import { createSystemControl } from './system-control.js'

export interface RelayOptions {
  readonly config: Config
  readonly tree: Tree
  /** Resolves once the tree is there; the routes are built meanwhile. */
  readonly treeLoaded: Promise<void>
  readonly logger: Logger
}

export interface Relay {
  readonly addresses: readonly string[]
  reload(): Promise<readonly string[]>
  /** Idempotent. Resolves when nothing runs any more. */
  stop(): Promise<void>
}

/** Wires all parts of a relay, and starts them: storage, tree, features, routes, jobs. The caller closes the tree. */
export async function startRelay({ config, tree, treeLoaded, logger }: RelayOptions): Promise<Relay> {
  const database = openDatabase(join(config.storage.path, 'state.db'), 'state')
  const metrics = createMetrics()
  const stopping = new AbortController()
  const certificates = createCertificateBook(tree)
  const features = await createFeatures(config, tree, database, metrics, logger)
  const { sharedFiles, remoteRuns, neighbours } = features
  const system = createSystemControl({ config, tree, certificates, neighbours, database, logger })
  const app = await buildApp({
    logger,
    services: {
      config: system.config,
      topology: tree.current,
      certificates,
      sharedFiles,
      remoteRuns,
      sharedFolder: createSharedFolder(config.sharedFolder.path),
      system,
      metrics,
      adminToken: readToken(config.tokens.adminFile),
      stopping: stopping.signal
    }
  })
  metrics.observe({ sharedFiles, remoteRuns, topology: tree.current })
  await Promise.all([treeLoaded, sharedFiles.recover(), remoteRuns.recover()])
  const listeners = await openListeners(app, config)
  system.onCertificateRenewal(listeners.renewCertificate)
  sharedFiles.start()
  const jobs = startJobs({ sharedFiles, remoteRuns, cleanupFrequency: config.sharedFiles.cleanupFrequency, logger })

  let stopped: Promise<void> | undefined
  async function stop(): Promise<void> {
    const drained = listeners.drain()
    await Promise.race([drained, delay(config.general.stopTimeoutMs, drained)])
    stopping.abort(new Error('the relay stops'))
    await Promise.all([jobs.stop(), remoteRuns.stop(), sharedFiles.stop()])
    listeners.cut()
    await drained
    await neighbours.close()
    database.close()
  }

  return {
    addresses: listeners.addresses,
    reload: system.reload,
    stop: () => {
      stopped ??= stop()
      return stopped
    }
  }
}

async function createFeatures(config: Config, tree: Tree, db: Database, metrics: Metrics, logger: Logger) {
  const selfId = config.general.nodeId
  const topology = tree.current
  const neighbours = await createNeighbours({
    config,
    topology,
    certificatesOf: tree.certificatesOf,
    store: createNeighbourStore(db),
    logger,
    observer: metrics.hopAsked
  })
  mkdirSync(config.sharedFiles.path, { recursive: true })
  const common = { selfId, topology, neighbours, db, logger }
  const sharedFiles = createSharedFiles({ ...common, config: config.sharedFiles })
  const remoteRuns = createRemoteRuns({ ...common, config: config.remoteRun, storagePath: config.storage.path })
  return { neighbours, sharedFiles, remoteRuns }
}

function readToken(file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  const token = readFileSync(file, 'utf8').trim()
  if (token.length < 16) throw new Error(`tokens.admin_file ${file}: a token has at least 16 characters`)
  return token
}

/** Waits `ms`, or less when `until` settles before. */
async function delay(ms: number, until: Promise<unknown>): Promise<void> {
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(), ms)
  await Promise.race([until, new Promise(resolve => over.signal.addEventListener('abort', resolve, { once: true }))])
  clearTimeout(timer)
}
