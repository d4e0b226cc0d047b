import type { Logger } from 'pino'
import { createIdentification } from '../api/callers/identification.js'
import { createMetrics, type Metrics } from '../api/metrics/metrics.js'
import type { Services } from '../api/services.js'
import type { Config } from '../config/config.js'
import { KnownNeighbours } from '../hops/known-neighbours.js'
import { createNeighbours, type DirectNeighbours } from '../hops/neighbours.js'
import type { Revocations } from '../keys/certificates/revocations.js'
import { isAdministrator } from '../keys/tokens/token-scope.js'
import { createLinkAdministration } from '../links/upper/link-administration.js'
import type { LinkRegistry } from '../links/upper/link-registry.js'
import { createLinkedNeighbours } from '../links/upper/linked-neighbours.js'
import { confirmList } from '../membership/revocations/list-confirming.js'
import { ConfirmedFreshness, type Freshness, RootFreshness } from '../membership/revocations/list-freshness.js'
import type { RevocationBook } from '../membership/revocations/revocation-book.js'
import { sourceOf } from '../network/sources/source-address.js'
import type { ServiceTraffic } from '../services/entry/traffic/service-traffic.js'
import { createSharedFolder, type SharedFolder } from '../shared-folder/shared-folder.js'
import { WithheldFiles } from '../shared-folder/withheld-files.js'
import { openStorage } from '../storage/repositories/open-storage.js'
import type { RecordStorage, Repositories } from '../storage/repositories/repositories.js'
import type { Tree } from '../tree/tree-service.js'
import type { LogLevel } from '../values/logging/logger.js'
import type { VersionRange } from '../values/protocol-version.js'
import { ConfigInForce } from './config-in-force.js'
import { createFeatures } from './create-features.js'
import { Late } from './late-binding.js'
import { createCertificateBook } from './membership/certificate-book.js'
import { openRevocations } from './membership/open-revocations.js'
import { createMembership, type Membership } from './membership/own-membership.js'
import { createRelayFailover } from './membership/relay-failover.js'
import { RevocationExchange } from './membership/revocation-exchange.js'
import { createLinks, createRegistry, type Links } from './relay-links.js'
import { type CallerCertificates, createCallerCertificates } from './services/caller-certificates.js'
import { createRelayTraffic } from './services/relay-traffic.js'
import { createServiceParts, type ServiceParts } from './services/service-parts.js'
import { createSystemControl, type RelaySystemControl } from './system-control.js'
import { openAllTokens } from './tokens/all-tokens.js'
import type { KnownTokens } from './tokens/known-tokens.js'

export interface RelayPartsOptions {
  readonly config: Config
  readonly tree: Tree
  readonly logger: Logger
  /** Lines of the log that could not be written; none where it does not say. */
  readonly lostLogLines?: () => number
  /** Takes the log level of a configuration that is read again. @default sets that of `logger` */
  readonly configureLogLevel?: (level: LogLevel) => void
  /** The protocol versions that this relay speaks with its neighbours. @default PROTOCOL_VERSIONS */
  readonly versions?: VersionRange
}

/** All parts of a relay, wired to each other; nothing is started yet. */
export interface RelayParts {
  readonly services: Services
  readonly system: RelaySystemControl
  readonly neighbours: DirectNeighbours
  readonly storage: RecordStorage
  readonly links: Links
  readonly serviceParts: ServiceParts
  /** The requests that callers of services have under way here. */
  readonly traffic: ServiceTraffic
  /** The caller closes it. */
  readonly tokens: KnownTokens
  readonly callerCertificates: CallerCertificates
  readonly membership: Membership
  /** Undefined where no list of revoked certificates counts. */
  readonly revocationExchange: RevocationExchange | undefined
  /** Ends what still streams. */
  readonly stopping: AbortController
}

/** Opens the storage and makes the parts, each after the ones that it needs. The caller closes neighbours, then the storage. */
export async function composeRelay(options: RelayPartsOptions): Promise<RelayParts> {
  const { config, tree, logger, lostLogLines = () => 0, versions } = options
  const inForce = new ConfigInForce(config)
  const storage = openStorage(config.storage.path)
  const { repositories } = storage
  const metrics = createMetrics()
  const { book, ...revoked } = await openRevocations(inForce.get, logger)
  const certificates = createCertificateBook({ tree, ...revoked })
  const registry = createRegistry(config, logger, metrics.links)
  const linkAdministration = createLinkAdministration(registry)
  const { selfId } = tree.current()
  const serviceParts = createServiceParts({ selfId, config: inForce.get, registry, links: linkAdministration, logger })
  const traffic = createRelayTraffic({ config: inForce.get, metrics: metrics.services, logger })
  /** A link upward carries requests to the policy server, and who comes over one is known by it. */
  const links = new Late<Links>('the links of this relay')
  const neighbours = await openNeighbours({ ...options, repositories, registry, metrics, links, ...revoked })
  const features = createFeatures({ config, tree, logger, neighbours, repositories, metrics })
  registry.onChange((event, { owner }) => {
    if (event === 'opened' && owner.kind !== 'client') features.sharedFiles.hopIsBack(owner.id)
  })
  const { treeSync } = features
  const { configureLogLevel = levelSetter(logger) } = options
  const control = { inForce, tree, certificates, neighbours, storage, treeSync, configureLogLevel, logger }
  const system = createSystemControl(control)
  const { certificatesChanged } = system
  const freshness = config.tree.source === 'members' ? new RootFreshness() : new ConfirmedFreshness()
  const common = { config: inForce.get, tree, neighbours, repositories, logger }
  const membership = createMembership({ ...common, revocations: book, freshness, certificatesChanged })
  system.showTreeProblem(() => membership.problem())
  const hasUpper = config.upstream !== undefined
  const confirm = confirmationOf(membership, book, freshness)
  const revocationExchange = book && new RevocationExchange({ book, neighbours, registry, hasUpper, confirm, logger })
  const stopping = new AbortController()
  const tokens = openAllTokens({ config, book, freshness, logger })
  const services: Services = {
    ...features,
    joining: membership.joining,
    members: membership.members,
    tokenKeys: membership.tokenKeys,
    issueToCaller: membership.issueToCaller,
    listConfirming: membership.confirming,
    revocations: book,
    isFromAbove: request => links.get().end?.isFromAbove(request) === true,
    nodeOfSecret: secret => registry.nodeOfSecret(secret),
    config: inForce.get,
    topology: () => tree.current(),
    neighbours,
    certificates,
    localSockets: new WeakSet(),
    proxySockets: new WeakSet(),
    links: linkAdministration,
    clients: serviceParts.clients,
    ownLink: () => links.get().dialer?.status,
    sharedFolder: openSharedFolder(config, inForce),
    system,
    metrics,
    isAdminToken: token => isAdministrator(tokens.find(token)?.scopes() ?? []),
    stopping: stopping.signal
  }
  const identify = createIdentification(services)
  const revocationState = () => book && { list: book.list, answeredAtMs: revocationExchange?.answeredAtMs }
  metrics.observe({ ...services, traffic, lostLogLines, revocationState })
  const ask = (signal: AbortSignal) => membership.ask(signal)
  const failover = createRelayFailover({ config: inForce.get, system, ask, logger })
  const ownLinks = links.set(
    await createLinks({
      config: inForce.get,
      topology: services.topology,
      onTreeChange: listener => tree.onChange(listener),
      certificates,
      ...revoked,
      sourceOfCaller: request => sourceOf(identify(request).address),
      registry,
      services: serviceParts,
      tokens,
      hasTokenKeys: () => (book?.list.keys.length ?? 0) > 0,
      failover,
      observer: metrics.links,
      logger,
      versions
    })
  )
  return {
    services,
    system,
    neighbours,
    storage,
    links: ownLinks,
    serviceParts,
    traffic,
    tokens,
    callerCertificates: createCallerCertificates({ book, freshness }),
    membership,
    revocationExchange,
    stopping
  }
}

function openSharedFolder(config: Config, inForce: ConfigInForce): SharedFolder {
  return createSharedFolder(config.sharedFolder.path, {
    followLinks: () => inForce.get().sharedFolder.followLinks,
    withheld: new WithheldFiles(config, inForce.get)
  })
}

function levelSetter(logger: Logger): (level: string) => void {
  return level => {
    logger.level = level
  }
}

/** Asks the root whether the list is the newest; undefined at the root, and where no list counts. */
function confirmationOf({ confirming }: Membership, book: RevocationBook | undefined, freshness: Freshness) {
  if (book === undefined || confirming === undefined || !(freshness instanceof ConfirmedFreshness)) return undefined
  return (stopping: AbortSignal) => confirmList(confirming, book, freshness, stopping)
}

interface NeighboursUse extends RelayPartsOptions {
  readonly repositories: Pick<Repositories, 'neighbours'>
  readonly registry: LinkRegistry
  readonly metrics: Metrics
  readonly links: Late<Links>
  readonly revocations: Revocations
}

async function openNeighbours(options: NeighboursUse): Promise<DirectNeighbours> {
  const { config, tree, repositories, registry, metrics, links, revocations, versions, logger } = options
  const known = await KnownNeighbours.load(repositories.neighbours)
  rememberLinks(registry, known, logger)
  return createNeighbours({
    config,
    topology: () => tree.current(),
    certificatesOf: id => tree.certificatesOf(id),
    known,
    revocations,
    logger,
    observer: metrics.hopAsked,
    links: createLinkedNeighbours(registry, () => config.general.responseTimeoutMs, metrics.hopAsked),
    linkUp: () => links.get().dialer,
    versions
  })
}

/**
 * Remembers neighbours that hold links, so that a run can wait for one that is away. Thousands may come at once: they
 * are written together.
 */
function rememberLinks(registry: LinkRegistry, known: KnownNeighbours, logger: Logger): void {
  registry.onChange((event, { owner, program }) => {
    if (event !== 'opened' || owner.kind === 'client' || known.version(owner.id) === program) return
    known.remember(owner.id, program, Date.now()).catch((err: unknown) => {
      logger.error({ err, id: owner.id }, 'cannot record a link; runs wait for this node only after its next link')
    })
  })
}
