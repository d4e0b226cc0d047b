import { dirname, join } from 'node:path'
import type { Logger } from 'pino'
import { createIdentification } from '../api/callers/identification.js'
import { createMetrics, type Metrics } from '../api/metrics/metrics.js'
import type { Services } from '../api/services.js'
import type { Config } from '../config/config.js'
import { KnownNeighbours } from '../hops/known-neighbours.js'
import { createNeighbours, type DirectNeighbours } from '../hops/neighbours.js'
import { createLinkAdministration } from '../links/upper/link-administration.js'
import { createLinkedNeighbours } from '../links/upper/link-hop.js'
import type { LinkRegistry } from '../links/upper/link-registry.js'
import { createRemoteRuns } from '../remote-run/remote-runs.js'
import { createSharedFiles } from '../shared-files/shared-files.js'
import { createSharedFolder } from '../shared-folder/shared-folder.js'
import { type Database, openDatabase } from '../storage/database.js'
import { createFileRepository } from '../storage/sqlite/file-repository.js'
import { createNeighbourRepository } from '../storage/sqlite/neighbour-repository.js'
import { createOutboxRepository } from '../storage/sqlite/outbox-repository.js'
import { createRunRepository } from '../storage/sqlite/run-repository.js'
import type { Tree } from '../tree/tree-service.js'
import { createTreeSource } from '../tree-sync/tree-source.js'
import { TreeSync } from '../tree-sync/tree-sync.js'
import { TreeVersions } from '../tree-sync/tree-versions.js'
import { MIN_TOKEN_LENGTH } from '../values/keys/admin-token.js'
import { sourceOf } from '../values/network/source-address.js'
import type { VersionRange } from '../values/protocol-version.js'
import { createCertificateBook } from './certificates.js'
import { createFileNotices } from './file-arrival-notices.js'
import { createLinks, createRegistry, type Links } from './links.js'
import { readTextFile } from './listening/text-file.js'
import { createMembership, type Membership } from './membership.js'
import { createFollowing } from './policy-server-failover.js'
import { RevocationExchange } from './revocation-exchange.js'
import { openRevocations } from './revocations.js'
import { createSystemControl, type RelaySystemControl } from './system-control.js'

export interface PartsOptions {
  readonly config: Config
  readonly tree: Tree
  readonly logger: Logger
  /** Lines of the log that could not be written; none where it does not say. */
  readonly lostLogLines?: () => number
  /** What this relay speaks with its neighbours. @default PROTOCOL_VERSIONS */
  readonly versions?: VersionRange
}

/** All parts of a relay, wired to each other; nothing is started yet. */
export interface Parts {
  readonly services: Services
  readonly system: RelaySystemControl
  readonly neighbours: DirectNeighbours
  readonly database: Database
  readonly links: Links
  readonly membership: Membership
  /** Undefined where no list of revoked certificates counts. */
  readonly revocationExchange: RevocationExchange | undefined
  /** Ends what still streams. */
  readonly stopping: AbortController
}

/** Opens the storage and makes the parts. The caller closes neighbours, then the database. */
export async function createParts({
  config,
  tree,
  logger,
  lostLogLines = () => 0,
  versions
}: PartsOptions): Promise<Parts> {
  const database = openDatabase(join(config.storage.path, 'state.db'), 'state')
  const metrics = createMetrics()
  const stopping = new AbortController()
  const { book, ...revoked } = await openRevocations(() => system.config(), config, logger)
  const certificates = createCertificateBook({ tree, ...revoked })
  const topology = () => tree.current()
  const registry = createRegistry(config, logger, metrics.links)
  const links = createLinkedNeighbours(registry, () => config.general.responseTimeoutMs, metrics.hopAsked)
  const knownNeighbours = await KnownNeighbours.load(createNeighbourRepository(database))
  rememberLinks(registry, knownNeighbours, logger)
  const neighbours = await createNeighbours({
    config,
    topology,
    certificatesOf: id => tree.certificatesOf(id),
    known: knownNeighbours,
    revocations: revoked.revocations,
    logger,
    observer: metrics.hopAsked,
    links,
    linkUp: () => ownLinks.dialer,
    versions
  })
  const treeParts = createTreeParts({ config, tree, logger }, neighbours, metrics)
  const { treeSync } = treeParts
  const refreshTree = treeSync === undefined ? undefined : () => treeSync.ask()
  const features = createFeatures({ config, tree, logger }, { neighbours, db: database, refreshTree }, metrics)
  const system = createSystemControl({ config, tree, certificates, neighbours, database, treeSync, logger })
  registry.onChange((event, { owner }) => {
    if (event === 'opened' && owner.kind !== 'client') features.sharedFiles.hopIsBack(owner.id)
  })
  const following = createFollowing({ system, ask: signal => membership.ask(signal), logger })
  const ownLinks: Links = await createLinks({
    config: system.config,
    topology,
    onTreeChange: listener => tree.onChange(listener),
    certificates,
    ...revoked,
    sourceOfCaller: request => sourceOf(identify(request).address),
    registry,
    following,
    observer: metrics.links,
    logger,
    versions
  })
  const { certificatesChanged } = system
  const membership: Membership = createMembership({
    config: system.config,
    tree,
    neighbours,
    database,
    revocations: book,
    certificatesChanged,
    logger
  })
  const hasUpper = config.upstream !== undefined
  const revocationExchange =
    book === undefined ? undefined : new RevocationExchange({ book, neighbours, registry, hasUpper, logger })
  const services: Services = {
    ...features,
    joining: membership.joining,
    members: membership.members,
    revocations: book,
    ...treeParts,
    isFromAbove: request => ownLinks.end?.isFromAbove(request) === true,
    nodeOfSecret: secret => registry.nodeOfSecret(secret),
    config: system.config,
    topology,
    neighbours,
    certificates,
    localSockets: new WeakSet(),
    proxySockets: new WeakSet(),
    links: createLinkAdministration(registry),
    ownLink: () => ownLinks.dialer?.status,
    sharedFolder: createSharedFolder(config.sharedFolder.path, () => system.config().sharedFolder.followLinks),
    system,
    metrics,
    adminToken: readToken(config.tokens.adminFile),
    stopping: stopping.signal
  }
  const identify = createIdentification(services)
  metrics.observe({ ...services, lostLogLines })
  return { services, system, neighbours, database, links: ownLinks, membership, revocationExchange, stopping }
}

interface FeaturesUse {
  readonly neighbours: DirectNeighbours
  readonly db: Database
  readonly refreshTree: (() => Promise<void>) | undefined
}

function createFeatures(options: PartsOptions, { neighbours, db, refreshTree }: FeaturesUse, metrics: Metrics) {
  const { config, tree, logger } = options
  const common = { selfId: config.general.nodeId, topology: () => tree.current(), neighbours, logger }
  const tellOfFile = createFileNotices(common)
  return {
    sharedFiles: createSharedFiles({
      ...common,
      config: config.sharedFiles,
      fileRepository: createFileRepository(db),
      outboxRepository: createOutboxRepository(db),
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
      repository: createRunRepository(db),
      storagePath: config.storage.path,
      observer: { nodeRan: metrics.nodeRan },
      refreshTree
    })
  }
}

/** Both ends of handing the tree down: to relays below, and from the policy server. */
function createTreeParts({ config, tree, logger }: PartsOptions, neighbours: DirectNeighbours, metrics: Metrics) {
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

function readToken(file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  const token = readTextFile('tokens.admin_file', file).trim()
  if (token.length >= MIN_TOKEN_LENGTH) return token
  throw new Error(`tokens.admin_file ${file}: a token has at least ${MIN_TOKEN_LENGTH} characters`)
}

/** So that a run can wait for nodes that hold links and are away. Thousands may come at once: they are written together. */
function rememberLinks(registry: LinkRegistry, known: KnownNeighbours, logger: Logger): void {
  registry.onChange((event, { owner, program }) => {
    if (event !== 'opened' || owner.kind === 'client' || known.version(owner.id) === program) return
    known.remember(owner.id, program, Date.now()).catch((err: unknown) => {
      logger.error({ err, id: owner.id }, 'cannot record a link; runs wait for this node only after its next link')
    })
  })
}
