import type { CurrentTopology } from '../tree/topology.js'
import { RelayError } from '../values/failures/relay-error.js'
import { errorMessage } from '../values/failures/system-error.js'
import type { Logger } from '../values/logger.js'
import { PROTOCOL_VERSIONS, type VersionRange } from '../values/protocol-version.js'
import { createDirectHop, type HopObserver, type NoConnection, type PeerConnection } from './direct-hop.js'
import { type Hop, type LinkedNeighbours, type LinkToUpper, type Neighbours, POLICY_SERVER } from './hop.js'
import type { KnownNeighbours } from './known-neighbours.js'
import { type NeighboursConfig, readPeerFiles } from './peers/peer-files.js'
import type { PeerPools, PeerPoolsOptions, PeerTarget } from './peers/peer-pools.js'
import { createPeerTargets } from './peers/peer-targets.js'
import { NO_REVOCATIONS, type Revocations } from './peers/revocations.js'
import { preferLink } from './prefer-link.js'

export type { HopObserver } from './direct-hop.js'
export type { NeighboursConfig } from './peers/peer-files.js'

export interface NeighboursOptions {
  readonly config: NeighboursConfig
  readonly topology: CurrentTopology
  /** The certificates (DER) listed for a node of the nodes list, asked per request. */
  readonly certificatesOf: (id: string) => readonly Buffer[]
  readonly known: KnownNeighbours
  /** @default none is known */
  readonly revocations?: Revocations
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
  const { topology, certificatesOf, known, logger } = options
  const now = options.now ?? Date.now
  const probeClock = options.now ?? (() => performance.now())
  let config = options.config
  let files = await readPeerFiles(config)
  let isClosed = false
  let pools: Promise<PeerPools> | undefined
  const targets = createPeerTargets({ topology, certificatesOf, current: () => ({ config, files }) })
  if (config.general.peerAuthentication === 'dangerous_none') {
    logger.warn({ setting: 'general.peer_authentication' }, 'neighbours are not authenticated: dangerous_none')
  }

  /** Loaded when a neighbour is first asked: many relays never ask one, and the HTTP client takes 20 MB. */
  async function loadPools(): Promise<PeerPools> {
    const { PeerPools } = await import('./peers/peer-pools.js')
    return new PeerPools(poolsOptions())
  }

  function poolsOptions(): PeerPoolsOptions {
    const { connectTimeoutMs, httpsIdleTimeoutMs: idleTimeoutMs } = config.general
    const { clientCertificate } = files
    return { clientCertificate, revocations: options.revocations ?? NO_REVOCATIONS, connectTimeoutMs, idleTimeoutMs }
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
      return { unreachable: `${id}: ${errorMessage(error)}` }
    }
  }

  function remember(id: string, version: string): void {
    known.remember(id, version, now()).catch((err: unknown) => {
      logger.error({ err, hop: id }, 'cannot record that a neighbour is a Treeline relay')
    })
  }

  function forget(id: string): void {
    known.forget(id).then(
      isForgotten => {
        if (isForgotten) logger.warn({ hop: id }, 'neighbour is no longer a Treeline relay')
      },
      (err: unknown) => logger.error({ err, hop: id }, 'cannot record that a neighbour is no longer a Treeline relay')
    )
  }

  /**
   * The times of the last probes. Only an action tells a relay that was put back from a proxy in front of one that is
   * down: it is asked for something harmless.
   */
  const lastProbes = new Map<string, number>()
  function probe(hop: Hop): void {
    if (probeClock() - (lastProbes.get(hop.id) ?? Number.NEGATIVE_INFINITY) < PROBE_EVERY_MS) return
    lastProbes.set(hop.id, probeClock())
    hop.request({ method: 'GET', path: 'system/info', headers: {} }).then(
      answer => answer.kind !== 'unreachable' && answer.body.destroy(),
      (err: unknown) => logger.error({ err, hop: hop.id }, 'cannot ask a neighbour for its version')
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
      isTreeline: () => known.version(id) !== undefined,
      onTreeline: version => remember(id, version),
      onStranger: () => forget(id),
      onDoubt: () => probe(direct),
      observer: options.observer,
      versions: options.versions ?? PROTOCOL_VERSIONS
    })
    return direct
  }

  return {
    down(id) {
      const current = topology()
      if (id === current.selfId || current.route(id).kind !== 'here') {
        throw new RelayError('UNKNOWN_NODE', `not a node managed by this relay: ${JSON.stringify(id)}`)
      }
      return preferLink(
        () => options.links?.find(id),
        hop(id, () => targets.below(id))
      )
    },
    up() {
      if (config.upstream === undefined) {
        throw new RelayError('UNKNOWN_NODE', 'this relay is the root: it has no policy server')
      }
      return hop(POLICY_SERVER, targets.above, { authorization: basicCredentials(config), link: options.linkUp?.() })
    },
    linked: id => options.links?.find(id),
    shouldHoldLink: id => known.version(id) !== undefined || targets.hasJoined(id),
    hasJoinedAsRelay: id => targets.hasJoined(id, 'relay'),
    onLinked: listener => options.links?.onOpen(listener),
    async reload(newConfig = config) {
      const newFiles = await readPeerFiles(newConfig)
      config = newConfig
      files = newFiles
      ;(await pools)?.renew(poolsOptions())
    },
    async close() {
      isClosed = true
      await (await pools)?.close()
      await known.flush()
    }
  }
}

function basicCredentials({ upstream }: NeighboursConfig): string | undefined {
  if (upstream?.user === undefined || upstream.password === undefined) return undefined
  return `Basic ${Buffer.from(`${upstream.user}:${upstream.password}`, 'utf8').toString('base64')}`
}
