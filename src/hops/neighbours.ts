import { NO_REVOCATIONS, type Revocations } from '../keys/certificates/revocations.js'
import type { CurrentTopology } from '../tree/topology.js'
import { atFirstUse } from '../values/at-first-use.js'
import { RelayError } from '../values/failures/relay-error.js'
import { errorMessage } from '../values/failures/system-error.js'
import { LogLimit } from '../values/logging/log-limit.js'
import type { Logger } from '../values/logging/logger.js'
import { PROTOCOL_VERSIONS, type VersionRange } from '../values/protocol-version.js'
import { createDirectHop, type HopObserver, type NoConnection, type PeerConnection } from './direct-hop.js'
import { type Hop, type LinkedNeighbours, type LinkToUpper, type Neighbours, POLICY_SERVER } from './hop.js'
import type { KnownNeighbours } from './known-neighbours.js'
import { type NeighboursConfig, type PeerFiles, readPeerFiles } from './peers/peer-files.js'
import type { PeerPoolsOptions, PeerTarget } from './peers/peer-pools.js'
import { createPeerTargets, type PeerTargets } from './peers/peer-targets.js'
import { preferLink } from './prefer-link.js'
import { RelayRecognition } from './relay-recognition.js'

export type { HopObserver } from './direct-hop.js'
export type { NeighboursConfig } from './peers/peer-files.js'

const COSTLY =
  'not connected to a neighbour for 10 s: it shows certificates that are costly to verify; it is to show its own one, and few others'

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
  const { config, logger } = options
  const files = await readPeerFiles(config)
  if (config.general.peerAuthentication === 'dangerous_none') {
    logger.warn({ setting: 'general.peer_authentication' }, 'neighbours are not authenticated: dangerous_none')
  }
  return new HttpsNeighbours(options, files)
}

class HttpsNeighbours implements DirectNeighbours {
  readonly #targets: PeerTargets
  readonly #recognition: RelayRecognition
  #config: NeighboursConfig
  #files: PeerFiles
  /** Loaded when a neighbour is first asked: many relays never ask one, and the HTTP client takes 20 MB. */
  readonly #pools = atFirstUse(async () => {
    const { PeerPools } = await import('./peers/peer-pools.js')
    return new PeerPools(this.#poolsOptions())
  })
  readonly #limited: LogLimit
  #isClosed = false

  constructor(
    private readonly options: NeighboursOptions,
    files: PeerFiles
  ) {
    this.#files = files
    const { config, topology, certificatesOf, logger } = options
    this.#limited = new LogLimit(logger)
    this.#config = config
    const current = () => ({ config: this.#config, files: this.#files })
    this.#targets = createPeerTargets({ topology, certificatesOf, current })
    this.#recognition = new RelayRecognition(options)
  }

  down(id: string): Hop {
    const current = this.options.topology()
    if (id === current.selfId || current.route(id).kind !== 'here') {
      throw new RelayError('UNKNOWN_NODE', `not a node managed by this relay: ${JSON.stringify(id)}`)
    }
    return preferLink(
      () => this.linked(id),
      this.#hop(id, () => this.#targets.below(id))
    )
  }

  up(): Hop {
    if (this.#config.upstream === undefined) {
      throw new RelayError('UNKNOWN_NODE', 'this relay is the root: it has no policy server')
    }
    const own = { authorization: basicCredentials(this.#config), link: this.options.linkUp?.() }
    return this.#hop(POLICY_SERVER, () => this.#targets.above(), own)
  }

  linked(id: string): Hop | undefined {
    return this.options.links?.find(id)
  }

  shouldHoldLink(id: string): boolean {
    return this.#recognition.isTreeline(id) || this.#targets.hasJoined(id)
  }

  hasJoinedAsRelay(id: string): boolean {
    return this.#targets.hasJoined(id, 'relay')
  }

  onLinked(listener: (id: string) => void): void {
    this.options.links?.onOpen(listener)
  }

  async reload(config = this.#config): Promise<void> {
    const files = await readPeerFiles(config)
    this.#config = config
    this.#files = files
    ;(await this.#pools.begun)?.renew(this.#poolsOptions())
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await (await this.#pools.begun?.catch(() => undefined))?.close() // none where they failed to load, as each request was told
    await this.options.known.flush()
  }

  #hop(
    id: string,
    target: () => PeerTarget | NoConnection,
    own: { authorization?: string | undefined; link?: LinkToUpper | undefined } = {}
  ): Hop {
    const { connectTimeoutMs, responseTimeoutMs } = this.#config.general
    const direct: Hop = createDirectHop({
      id,
      connection: () => this.#connect(id, target),
      // An opening connection that fails makes room for the next try.
      startLimitMs: 2 * connectTimeoutMs,
      silenceLimitMs: responseTimeoutMs,
      authorization: own.authorization,
      link: own.link,
      isTreeline: () => this.#recognition.isTreeline(id),
      onTreeline: version => this.#recognition.remember(id, version),
      onStranger: () => this.#recognition.forget(id),
      onDoubt: () => this.#recognition.probe(direct),
      observer: this.options.observer,
      versions: this.options.versions ?? PROTOCOL_VERSIONS
    })
    return direct
  }

  async #connect(id: string, target: () => PeerTarget | NoConnection): Promise<PeerConnection | NoConnection> {
    const loaded = await this.#pools.get()
    if (this.#isClosed) return { unreachable: `${id}: this relay is stopping` }
    const found = target()
    if ('unreachable' in found) return found
    try {
      return loaded.get(id, found)
    } catch (error) {
      return { unreachable: `${id}: ${errorMessage(error)}` }
    }
  }

  readonly #onCostly = (hop: string, shown: string): void => this.#limited.warn(hop, { hop, shown }, COSTLY)

  #poolsOptions(): PeerPoolsOptions {
    const { connectTimeoutMs, httpsIdleTimeoutMs: idleTimeoutMs } = this.#config.general
    const { clientCertificate } = this.#files
    const revocations = this.options.revocations ?? NO_REVOCATIONS
    return { clientCertificate, revocations, connectTimeoutMs, idleTimeoutMs, onCostly: this.#onCostly }
  }
}

function basicCredentials({ upstream }: NeighboursConfig): string | undefined {
  if (upstream?.user === undefined || upstream.password === undefined) return undefined
  return `Basic ${Buffer.from(`${upstream.user}:${upstream.password}`, 'utf8').toString('base64')}`
}
