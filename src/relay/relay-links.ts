import type { IncomingMessage, RequestListener } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectionOptions } from 'node:tls'
import type { Logger } from 'pino'
import type { Config } from '../config/config.js'
import { readPeerFiles } from '../hops/peers/peer-files.js'
import { policyServerTrust } from '../hops/peers/peer-targets.js'
import { verification } from '../hops/peers/peer-trust.js'
import { purposeOf } from '../keys/certificates/certificate-purpose.js'
import { fingerprint } from '../keys/certificates/fingerprint.js'
import type { Revocations } from '../keys/certificates/revocations.js'
import type { Dialer } from '../links/lower/dialer.js'
import { LINK_BACKOFF } from '../links/lower/link-backoff.js'
import type { LowerLink } from '../links/lower/lower-link.js'
import { warnWithoutMaskingAddon } from '../links/lower/masking-addon.js'
import type { Upper } from '../links/lower/upper.js'
import { createLazyLinkAcceptor } from '../links/upper/accepting/lazy-link-acceptor.js'
import type { Admission, LinkAcceptor } from '../links/upper/accepting/link-acceptor.js'
import type { LinkObserver } from '../links/upper/link-observer.js'
import { LinkRegistry } from '../links/upper/link-registry.js'
import { readCredentials } from '../links/wire/credentials.js'
import type { PolicyServerFailover, UpperAddress } from '../membership/member/policy-server-failover.js'
import { hostAndPort } from '../network/host-and-port.js'
import { VERSION } from '../process/version.js'
import type { KnownCertificates } from '../tree/known-certificates.js'
import type { Topology } from '../tree/topology.js'
import type { VersionRange } from '../values/protocol-version.js'
import { RemovedLinks } from './removed-links.js'
import type { ServiceParts } from './services/service-parts.js'
import { createClientAdmission } from './tokens/client-admission.js'
import type { KnownTokens } from './tokens/known-tokens.js'

export interface LinksOptions {
  /** The one in force. */
  readonly config: () => Config
  readonly topology: () => Topology
  /** Tells of each new tree. */
  readonly onTreeChange: (listener: () => void) => void
  readonly certificates: KnownCertificates
  readonly revocations: Revocations
  /** Tells of each change of these. */
  readonly onRevocation: (listener: () => void) => void
  /** The source that tells a caller apart from others where bounds are shared. */
  readonly sourceOfCaller: (request: IncomingMessage) => string
  readonly registry: LinkRegistry
  readonly services: ServiceParts
  readonly tokens: KnownTokens
  /** Whether there are keys that sign tokens of this tree. */
  readonly hasTokenKeys: () => boolean
  /** Undefined where the address of the policy server is the operator's alone. */
  readonly failover: PolicyServerFailover | undefined
  readonly observer: LinkObserver
  readonly logger: Logger
  readonly versions: VersionRange | undefined
}

/** Both ends of this relay's links: those that the lower side opened, and its own to the policy server. */
export interface Links {
  /** Undefined where this relay takes no links. */
  readonly acceptor: LinkAcceptor | undefined
  /** Undefined, as the dialer is, where this relay holds no link of its own. */
  readonly end: LowerLink | undefined
  readonly dialer: Dialer | undefined
  /** Must be called before the first request may come over the link. */
  serve(routing: RequestListener): void
  /** Closes all links once nothing is under way on them. */
  drain(): Promise<void>
  stop(): Promise<void>
}

const LOOK_EVERY_MS = 20

export function createRegistry(config: Config, logger: Logger, observer: LinkObserver): LinkRegistry {
  return new LinkRegistry({ max: config.links.max, logger, observer })
}

export async function createLinks(options: LinksOptions): Promise<Links> {
  const { config, topology, registry, logger } = options
  let routing: RequestListener = (_request, response) => response.destroy()
  const { accept, dial, pingIntervalMs } = config().links
  if (accept || dial) await warnWithoutMaskingAddon(logger)
  const removed = new RemovedLinks({ ...options, areRenewed: config().tree.source !== 'files' })
  options.onTreeChange(() => removed.close())
  options.onRevocation(() => removed.close())
  const { keys } = options.services
  const takesClients = () => config().tokens.clientsFile !== undefined || options.hasTokenKeys()
  const { tokens } = options
  const admitClient = accept ? createClientAdmission({ tokens, takesClients, registry, keys, logger }) : undefined
  const acceptor = accept
    ? createLazyLinkAcceptor({
        selfId: topology().selfId,
        registry,
        admit: certificate => {
          const admission = admit(certificate, options)
          if ('owner' in admission) removed.note(admission.owner, certificate)
          return admission
        },
        ...(admitClient === undefined ? {} : { admitClient }),
        sourceOfCaller: options.sourceOfCaller,
        observer: options.observer,
        logger,
        versions: options.versions,
        pingMs: pingIntervalMs
      })
    : undefined
  const own = dial ? await makeOwnLink(options, (request, response) => routing(request, response)) : undefined
  let isStopped = false
  async function stop(): Promise<void> {
    isStopped = true
    acceptor?.close()
    await own?.dialer.stop()
    own?.end.close()
  }
  return {
    acceptor,
    end: own?.end,
    dialer: own?.dialer,
    serve: listener => {
      routing = listener
    },
    drain: async () => {
      const isIdle = () => (own?.end.activeRequests ?? 0) === 0 && registry.all().every(link => link.streams === 0)
      while (!isStopped && !isIdle()) await sleep(LOOK_EVERY_MS)
      await stop()
    },
    stop
  }
}

/** The link that this relay holds; loaded only where it is to hold one. */
async function makeOwnLink(
  { config, failover, revocations, services, versions, logger }: LinksOptions,
  routing: RequestListener
): Promise<{ readonly end: LowerLink; readonly dialer: Dialer }> {
  const [{ Dialer }, { LowerLink }] = await Promise.all([
    import('../links/lower/dialer.js'),
    import('../links/lower/lower-link.js')
  ])
  const { longestWaitMs } = config().links
  const end = new LowerLink({
    routing,
    openLane: (linkId, purpose) => dialer.openLane(linkId, purpose),
    takeStream: services.kinds.take
  })
  const dialer = new Dialer({
    upper: async () => ({ ...(await endpointOf(config(), failover?.address)), revocations }),
    follower: failover,
    handshake: async () => ({
      credentials: readCredentials(await ownCertificate(config()), namesIn(config())),
      program: VERSION,
      versions,
      hasServices: config().links.accept || config().ownServices.length > 0
    }),
    end,
    lane: () => config().links.lane,
    backoff: { firstMs: Math.min(LINK_BACKOFF.firstMs, longestWaitMs), maxMs: longestWaitMs },
    logger
  })
  return { end, dialer }
}

/** Nodes that this relay manages, by a certificate listed for them. */
function admit(certificate: Buffer, { certificates, revocations, topology }: LinksOptions): Admission {
  const shown = fingerprint(certificate)
  const why = revocations.whyRevoked(shown)
  if (why !== undefined) return { refused: why }
  const id = certificates.nodeOf(shown)
  if (id === undefined) return { refused: `no node is known by the certificate sha256:${shown}` }
  const tree = topology()
  if (id === tree.selfId) return { refused: `${id} is this relay itself` }
  if (tree.route(id).kind !== 'here') {
    return { refused: `${id} is not managed by ${tree.selfId}: it has to open its link to its own policy server` }
  }
  const isRelay = tree.isRelay(id) || purposeOf(certificate) === 'relay' // one that joined may have nobody below it yet
  return { owner: { kind: isRelay ? 'relay' : 'node', id } }
}

/** @param address in place of the one in the configuration */
async function endpointOf(config: Config, address?: UpperAddress): Promise<Upper> {
  const upstream = config.upstream === undefined ? undefined : { ...config.upstream, ...address }
  if (upstream === undefined) throw new Error('output.upstream.host is not set')
  const files = await readPeerFiles(config)
  if (files.upstreamProblem !== undefined) throw new Error(files.upstreamProblem)
  const trust = policyServerTrust({ ...config, upstream }, files)
  const tls: ConnectionOptions = {
    ...verification(trust),
    ...(config.links.tlsCertificate ? files.clientCertificate : {})
  }
  const pins = trust.mode === 'cert_pinning' ? new Set(trust.pins.map(fingerprint)) : undefined
  return { url: `wss://${hostAndPort(upstream.host, upstream.port)}`, tls, pins }
}

function namesIn({ general: { httpsCertificateFile = '', httpsKeyFile = '' } }: Config) {
  return {
    cert: `general.https_certificate_file ${httpsCertificateFile}`,
    key: `general.https_key_file ${httpsKeyFile}`
  }
}

async function ownCertificate(config: Config): Promise<{ cert: string; key: string }> {
  const { clientCertificate } = await readPeerFiles(config)
  if (clientCertificate !== undefined) return clientCertificate
  throw new Error('general.https_certificate_file and general.https_key_file are not set')
}
