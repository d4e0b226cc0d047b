import { isIPv6 } from 'node:net'
import type { NeighbourStore } from '../storage/neighbour-store.js'
import { purposeOf } from '../values/certificate-purpose.js'
import { httpProxyFor } from '../values/http-proxy.js'
import type { Logger } from '../values/logger.js'
import { PROTOCOL_VERSIONS, type VersionRange } from '../values/protocol-version.js'
import { RelayError } from '../values/relay-error.js'
import { createDirectHop, type HopObserver, type NoConnection, type PeerConnection } from './direct-hop.js'
import { type Hop, type LinkedNeighbours, type LinkToUpper, type Neighbours, POLICY_SERVER } from './hop.js'
import { type NeighboursConfig, type PeerFiles, readPeerFiles } from './peer-files.js'
import type { PeerPools, PeerPoolsOptions, PeerTarget } from './peer-pools.js'
import type { PeerTrust } from './peer-trust.js'
import { preferLink } from './prefer-link.js'
import type { CurrentTopology } from './topology.js'

export type { HopObserver } from './direct-hop.js'
export type { NeighboursConfig } from './peer-files.js'

export interface NeighboursOptions {
  readonly config: NeighboursConfig
  readonly topology: CurrentTopology
  /** The certificates (DER) listed for a node of the nodes list, asked per request. */
  readonly certificatesOf: (id: string) => readonly Buffer[]
  readonly store: NeighbourStore
  readonly logger: Logger
  readonly observer?: HopObserver
  /** Preferred, per request, to a connection of our own. */
  readonly links?: LinkedNeighbours
  /** Undefined while this relay holds none. */
  readonly linkUp?: () => LinkToUpper | undefined
  /** @default Date.now */
  readonly now?: () => number
  /** @default PROTOCOL_VERSIONS */
  readonly versions?: VersionRange | undefined
}

/** How often a neighbour of which it is not clear what it is now is asked, at most. */
const PROBE_EVERY_MS = 60_000

/** Neighbours whose certificates and addresses can be read again. */
export interface DirectNeighbours extends Neighbours {
  /**
   * Reads the files that `config` names (default: the present one) again; further requests use what they hold.
   * @throws {Error} naming the file that cannot be read; then nothing has changed
   */
  reload(config?: NeighboursConfig): Promise<void>
}

/**
 * The relays above and below, each reached by HTTPS of its own.
 * @throws {Error} naming the file, when our own certificate or the CA file cannot be read
 */
export async function createNeighbours(options: NeighboursOptions): Promise<DirectNeighbours> {
  const { topology, certificatesOf, store, logger } = options
  const now = options.now ?? Date.now
  const probeClock = options.now ?? (() => performance.now())
  let config = options.config
  let files = await readPeerFiles(config)
  let isClosed = false
  let pools: Promise<PeerPools> | undefined
  if (config.general.peerAuthentication === 'dangerous_none') {
    logger.warn({ setting: 'general.peer_authentication' }, 'neighbours are not authenticated: dangerous_none')
  }

  /** Loaded when a neighbour is first asked: many relays never ask one, and the HTTP client takes 20 MB. */
  async function loadPools(): Promise<PeerPools> {
    const { PeerPools } = await import('./peer-pools.js')
    return new PeerPools(poolsOptions(config, files))
  }

  async function connect(id: string, target: () => PeerTarget | NoConnection): Promise<PeerConnection | NoConnection> {
    pools ??= loadPools()
    const loaded = await pools
    if (isClosed) return { unreachable: `${id}: this relay is stopping` }
    const found = target()
    if ('unreachable' in found) return found
    try {
      return loaded.get(id, found)
    } catch (error) {
      return { unreachable: `${id}: ${error instanceof Error ? error.message : String(error)}` }
    }
  }

  function remember(id: string, version: string): void {
    try {
      store.remember(id, version, now())
    } catch (err) {
      logger.error({ err, hop: id }, 'cannot record that a neighbour is a Treeline relay')
    }
  }

  function forget(id: string): void {
    try {
      if (store.forget(id)) logger.warn({ hop: id }, 'a neighbour is no Treeline relay any more')
    } catch (err) {
      logger.error({ err, hop: id }, 'cannot record that a neighbour is no Treeline relay any more')
    }
  }

  /** Only what it does tells a relay that was put back from a proxy in front of one that is down: it is asked for something harmless. */
  const lastProbes = new Map<string, number>()
  function probe(hop: Hop): void {
    if (probeClock() - (lastProbes.get(hop.id) ?? Number.NEGATIVE_INFINITY) < PROBE_EVERY_MS) return
    lastProbes.set(hop.id, probeClock())
    hop.request({ method: 'GET', path: 'system/info', headers: {} }).then(
      answer => answer.kind !== 'unreachable' && answer.body.destroy(),
      (err: unknown) => logger.error({ err, hop: hop.id }, 'cannot ask a neighbour what it is')
    )
  }

  function hop(
    id: string,
    target: () => PeerTarget | NoConnection,
    own: { authorization?: string | undefined; link?: LinkToUpper | undefined } = {}
  ): Hop {
    const direct: Hop = createDirectHop({
      id,
      connection: () => connect(id, target),
      // An opening connection that fails makes room for the next try.
      startLimitMs: 2 * config.general.connectTimeoutMs,
      silenceLimitMs: config.general.responseTimeoutMs,
      authorization: own.authorization,
      link: own.link,
      isTreeline: () => store.version(id) !== undefined,
      onTreeline: version => remember(id, version),
      onStranger: () => forget(id),
      onDoubt: () => probe(direct),
      observer: options.observer,
      versions: options.versions ?? PROTOCOL_VERSIONS
    })
    return direct
  }

  function targetBelow(id: string): PeerTarget | NoConnection {
    const node = topology().find(id)
    if (node === undefined) return { unreachable: `${id}: no longer in the nodes list` }
    const { nodesCertsFile, httpsPort } = config.general
    const address = config.neighbours.addresses.get(id) ?? { host: node.hostname, port: httpsPort }
    let known: readonly Buffer[]
    try {
      known = certificatesOf(id)
    } catch (error) {
      return { unreachable: `${id}: its certificates cannot be read now: ${String(error)}` }
    }
    const trust = trustIn(config, files, node, known, nodesCertsFile)
    if (trust.mode === 'cert_pinning' && trust.pins.length === 0) {
      return { unreachable: `${id}: no certificate of it is known, see ${nodesCertsFile} (general.nodes_certs_file)` }
    }
    return { ...address, trust }
  }

  function hasJoined(id: string): boolean {
    try {
      return certificatesOf(id).some(certificate => purposeOf(certificate) !== undefined)
    } catch {
      return false // they cannot be read now
    }
  }

  function targetAbove(): PeerTarget | NoConnection {
    const { upstream } = config
    if (upstream === undefined) return { unreachable: `${POLICY_SERVER}: output.upstream.host is not set` }
    const file = upstream.serverCertificateFile ?? 'output.upstream.server_certificate_file'
    const trust = trustIn(config, files, { hostname: upstream.host, id: upstream.nodeId }, files.upstreamPins, file)
    if (files.upstreamProblem !== undefined) return { unreachable: `${POLICY_SERVER}: ${files.upstreamProblem}` }
    const { host, port } = upstream
    try {
      return { host, port, trust, proxy: httpProxyFor(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`)?.href }
    } catch (error) {
      return { unreachable: `${POLICY_SERVER}: ${error instanceof Error ? error.message : String(error)}` }
    }
  }

  return {
    down(id) {
      const current = topology()
      if (id === current.selfId || current.route(id).kind !== 'here') {
        throw new RelayError('UNKNOWN_NODE', `not a node managed by this relay: ${JSON.stringify(id)}`)
      }
      return preferLink(
        () => options.links?.find(id),
        hop(id, () => targetBelow(id))
      )
    },
    up() {
      if (config.upstream === undefined) {
        throw new RelayError('UNKNOWN_NODE', 'this relay is the root: it has no policy server')
      }
      return hop(POLICY_SERVER, targetAbove, { authorization: basicCredentials(config), link: options.linkUp?.() })
    },
    linked: id => options.links?.find(id),
    isToHoldLink: id => store.version(id) !== undefined || hasJoined(id),
    onLinked: listener => options.links?.onOpen(listener),
    async reload(newConfig = config) {
      const newFiles = await readPeerFiles(newConfig)
      config = newConfig
      files = newFiles
      ;(await pools)?.renew(poolsOptions(config, files))
    },
    async close() {
      isClosed = true
      await (await pools)?.close()
    }
  }
}

function poolsOptions({ general }: NeighboursConfig, files: PeerFiles): PeerPoolsOptions {
  return {
    clientCertificate: files.clientCertificate,
    connectTimeoutMs: general.connectTimeoutMs,
    idleTimeoutMs: general.httpsIdleTimeoutMs
  }
}

function trustIn(
  { general }: NeighboursConfig,
  files: PeerFiles,
  { hostname, id: nodeId }: { readonly hostname: string; readonly id: string | undefined },
  pins: readonly Buffer[],
  pinsFile: string
): PeerTrust {
  switch (general.peerAuthentication) {
    case 'cert_pinning':
      return { mode: 'cert_pinning', pins, pinsFile }
    case 'cert_validation':
      return { mode: 'cert_validation', ca: files.ca, hostname, nodeId }
    case 'dangerous_none':
      return { mode: 'dangerous_none' }
  }
}

function basicCredentials({ upstream }: NeighboursConfig): string | undefined {
  if (upstream?.user === undefined || upstream.password === undefined) return undefined
  return `Basic ${Buffer.from(`${upstream.user}:${upstream.password}`, 'utf8').toString('base64')}`
}
