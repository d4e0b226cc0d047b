import { dirname } from 'node:path'
import type { Logger } from 'pino'
import type { Metrics } from '../api/metrics/metrics.js'
import type { Config } from '../config/config.js'
import type { DirectNeighbours } from '../hops/neighbours.js'
import { createRemoteRuns } from '../remote-run/remote-runs.js'
import { createSharedFiles } from '../shared-files/shared-files.js'
import type { Repositories } from '../storage/repositories/repositories.js'
import type { Tree } from '../tree/tree-service.js'
import { createTreeSource } from '../tree-sync/tree-source.js'
import { TreeSync } from '../tree-sync/tree-sync.js'
import { TreeVersions } from '../tree-sync/tree-versions.js'
import { createFileArrivalNotices } from './file-arrival-notices.js'

export interface FeaturesOptions {
  readonly config: Config
  readonly tree: Tree
  readonly logger: Logger
  readonly neighbours: DirectNeighbours
  readonly repositories: Pick<Repositories, 'files' | 'outbox' | 'runs'>
  readonly metrics: Metrics
}

/** Runs, shared files, and both ends of handing the tree down: to relays below, and from the policy server. */
export function createFeatures(options: FeaturesOptions) {
  const { config, tree, neighbours, repositories, metrics, logger } = options
  const treeParts = createTreeParts(options)
  const { treeSync } = treeParts
  const common = { selfId: config.general.nodeId, topology: () => tree.current(), neighbours, logger }
  const tellOfFile = createFileArrivalNotices(common)
  return {
    ...treeParts,
    sharedFiles: createSharedFiles({
      ...common,
      config: config.sharedFiles,
      fileRepository: repositories.files,
      outboxRepository: repositories.outbox,
      storagePath: config.storage.path,
      pace: paceLimits(config.limits),
      maxUploads: config.limits.maxUploads,
      takesLinks: config.links.accept,
      observer: {
        onStored: (sizeBytes, key) => {
          metrics.bytesStored(sizeBytes)
          tellOfFile(key)
        },
        onForwarded: (_hop, outcome, isFromOutbox) => {
          if (isFromOutbox) metrics.outboxTried(outcome)
        },
        onPurged: metrics.purged
      }
    }),
    remoteRuns: createRemoteRuns({
      ...common,
      config: config.remoteRun,
      repository: repositories.runs,
      storagePath: config.storage.path,
      observer: { nodeRan: metrics.nodeRan },
      refreshTree: treeSync && (() => treeSync.ask())
    })
  }
}

function createTreeParts({ config, tree, neighbours, metrics, logger }: FeaturesOptions) {
  const versions = new TreeVersions(tree)
  const treeSync = new TreeSync({
    selfId: config.general.nodeId,
    tree,
    versions,
    upper: () => neighbours.up(),
    folder: dirname(config.general.nodesListFile),
    logger,
    observer: metrics.tree
  })
  return {
    treeSource: createTreeSource({ tree, versions, neighbours, logger }),
    treeSync: config.tree.source === 'policy-server' ? treeSync : undefined
  }
}

function paceLimits({ metadataTimeoutMs, rateWindowMs, minBytesPerSecond }: Config['limits']) {
  return { metadataMs: metadataTimeoutMs, windowMs: rateWindowMs, minBytesPerSecond }
}
