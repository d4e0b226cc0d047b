import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { WebSocketServer } from 'ws'
import { fingerprint } from '../../../keys/certificates/fingerprint.js'
import { hostAndPort } from '../../../network/host-and-port.js'
import { sourceOf } from '../../../network/sources/source-address.js'
import { createWorkQueue } from '../../../process/pacing/work-queue.js'
import { LogLimit } from '../../../values/logging/log-limit.js'
import type { Logger } from '../../../values/logging/logger.js'
import { LINK_VERSIONS, type VersionRange } from '../../../values/protocol-version.js'
import {
  type Challenge,
  ChallengeError,
  type ClientProof,
  checkAnswer,
  type Identity,
  makeChallenge,
  parseIdentity,
  type Welcome
} from '../../wire/challenge.js'
import { type MessageFrames, watchFrames } from '../../wire/message-frames.js'
import {
  CLOSE,
  HANDSHAKE_LIMIT_MS,
  MAX_LANES,
  MAX_REPLICAS,
  PING_EVERY_MS,
  WEB_SOCKET_LIMITS
} from '../../wire/protocol.js'
import type { Transport } from '../../wire/transport.js'
import { WebSocketTransport } from '../../wire/web-socket-transport.js'
import { nextLinkId } from '../link-id.js'
import type { LinkObserver } from '../link-observer.js'
import type { LinkRegistry } from '../link-registry.js'
import { type LinkOwner, UpperLink } from '../upper-link.js'
import { DisconnectThrottle } from './disconnect-throttle.js'
import { isLinkUpgrade } from './is-link-upgrade.js'
import { isLaneUpgrade, switchToRaw } from './lane-upgrade.js'
import { LinkOpenings, MAX_OPENINGS } from './link-openings.js'
import { MAX_HANDSHAKES, PendingHandshakes } from './pending-handshakes.js'
import { endUnlessWelcome, type LinkRefusal, refuse, refuseUpgrade } from './refusals.js'

/** A certificate and a signature take about a millisecond, and thousands may come at once. */
const queueProof = createWorkQueue(4)

/** The owner of a new link, or the reason for refusing it. */
export type Admission = { readonly owner: LinkOwner } | { readonly refused: string }

/** A connection that became a transport. */
interface Opened {
  /** The source of the caller, whom a proxy may have passed on. */
  readonly source: string
  readonly remoteAddress: string
  readonly below: Duplex
  /** The frames of a WebSocket. Raw bytes have none, and may become nothing but a lane. */
  readonly frames?: MessageFrames
  /** Called when it has become a link or lane. */
  readonly welcomed: () => void
}

export interface LinkAcceptorOptions {
  readonly selfId: string
  readonly registry: LinkRegistry
  /** Looks it up, before its holder has proved to have the key. @param certificate DER */
  readonly admit: (certificate: Buffer) => Admission
  /** Decides by the token alone; key and id are well-formed. Undefined: no clients are taken. */
  readonly admitClient?: (client: ClientProof) => Admission
  /**
   * The source that tells a caller apart from others where bounds are shared.
   * @default by where the connection comes from
   */
  readonly sourceOfCaller?: (request: IncomingMessage) => string
  readonly observer?: LinkObserver | undefined
  readonly logger: Logger
  readonly now?: () => number
  readonly versions?: VersionRange | undefined
  readonly pingMs?: number
}

export interface LinkAcceptor {
  /** Whether a request to upgrade is for a link. */
  takes(request: IncomingMessage): boolean
  /**
   * Handles the `upgrade` event of a server. A request that does not ask for a link is refused.
   * @param onWelcome called when the connection has become a link or lane: until then anybody may hold it
   */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, onWelcome?: () => void): void
  /** Lets so many handshakes be under way at once, or {@link MAX_HANDSHAKES} where that is fewer. */
  limitPending(max: number): void
  close(): void
}

/** Creates the upper side of the handshake, at which relays, nodes and clients open their links. */
export function createLinkAcceptor(options: LinkAcceptorOptions): LinkAcceptor {
  return new Acceptor(options)
}

class Acceptor implements LinkAcceptor {
  readonly takes = isLinkUpgrade
  readonly #server = new WebSocketServer({ ...WEB_SOCKET_LIMITS, noServer: true, clientTracking: false })
  readonly #handshakes = new PendingHandshakes(() => performance.now())
  readonly #throttle = new DisconnectThrottle()
  readonly #refusals: LogLimit
  readonly #openings: LinkOpenings
  readonly #versions: VersionRange
  readonly #pingMs: number
  #isClosed = false

  constructor(private readonly options: LinkAcceptorOptions) {
    this.#refusals = new LogLimit(options.logger)
    this.#openings = new LinkOpenings(options.logger, options.registry.max)
    this.#versions = options.versions ?? LINK_VERSIONS
    this.#pingMs = options.pingMs ?? PING_EVERY_MS
  }

  limitPending(max: number): void {
    this.#handshakes.max = Math.min(MAX_HANDSHAKES, max)
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, onWelcome?: () => void): void {
    socket.on('error', ignore)
    const stopWaiting = endUnlessWelcome(socket)
    const { sourceOfCaller = sourceOfConnection, observer } = this.options
    const source = sourceOfCaller(request)
    const status = this.#statusFor(request, source)
    if (status !== undefined) {
      observer?.refused()
      refuseUpgrade(socket, status)
      return
    }
    this.#throttle.watch(socket)
    const welcomed = () => {
      stopWaiting()
      onWelcome?.()
    }
    const opened = { source, remoteAddress: addressOf(request), below: socket, welcomed }
    if (isLaneUpgrade(request)) return void this.#handshake(switchToRaw(socket, head), opened)
    const frames = watchFrames(socket, head)
    if (frames === undefined) return void socket.destroy()
    this.#server.handleUpgrade(request, socket, head, webSocket => {
      void this.#handshake(new WebSocketTransport(webSocket), { ...opened, frames })
    }) // where it is no WebSocket that was asked for, ws has answered
  }

  #statusFor(request: IncomingMessage, source: string): string | undefined {
    if (!isLinkUpgrade(request)) return '404 Not Found'
    if (request.method !== 'GET') return '405 Method Not Allowed'
    // Whoever is refused comes again after its backoff.
    return this.#isClosed || !this.#handshakes.hasRoom(source) ? '503 Service Unavailable' : undefined
  }

  /** Leads from the challenge to a link, or to a refusal that is logged. Never rejects. */
  async #handshake(transport: Transport, opened: Opened): Promise<void> {
    this.#handshakes.add(transport, opened.source)
    try {
      const { challenge, identity } = await this.#identify(transport)
      const admission =
        versionRefusal(identity.version, this.#versions) ?? admissionOf(challenge, identity, opened.below, this.options)
      const refusal = this.#take(transport, opened, identity, admission)
      if (refusal !== undefined) return this.#refuse(transport, opened, refusal)
      opened.frames?.admit()
      opened.welcomed()
    } catch (error) {
      const isExpected = error instanceof ChallengeError
      const reason = isExpected ? error.message : 'the handshake failed'
      this.#refuse(transport, opened, { code: CLOSE.refused, reason }, isExpected ? undefined : error)
    } finally {
      this.#handshakes.remove(transport)
    }
  }

  /** Asks the other side who it is. @throws {ChallengeError} for a bad answer, or none */
  async #identify(transport: Transport): Promise<{ readonly challenge: Challenge; readonly identity: Identity }> {
    const challenge = makeChallenge(this.options.selfId, this.#versions)
    // The other side waits for the welcome. Who listens to what it says then listens in the turn of the welcome.
    const answer = transport.receive(HANDSHAKE_LIMIT_MS, text => {
      transport.pause()
      return text
    })
    transport.send(JSON.stringify(challenge))
    const text = await answer
    await new Promise<void>(resolve => queueProof(resolve))
    transport.resume() // nothing comes within this turn; one that is refused has to hear of it
    // A link whose transport has ended already would never hear of its end.
    if (!transport.isOpen) throw new ChallengeError('it was closed before its turn came')
    return { challenge, identity: parseIdentity(text, this.#versions) }
  }

  #take(transport: Transport, opened: Opened, identity: Identity, admission: Admission): LinkRefusal | undefined {
    if (this.#isClosed) return { code: CLOSE.stopping, reason: 'the relay is stopping' }
    if ('refused' in admission) return { code: CLOSE.refused, reason: admission.refused }
    const { owner } = admission
    if (identity.purpose !== 'link') return this.#takeLane(transport, identity, owner)
    if (opened.frames === undefined) return { code: CLOSE.refused, reason: 'a link has to be a WebSocket' }
    const { registry } = this.options
    if (registry.isFullFor(owner)) return { code: CLOSE.full, reason: 'there are links.max links already' }
    if (registry.hasAllReplicas(owner)) {
      return { code: CLOSE.full, reason: `${MAX_REPLICAS} clients are registered under ${owner.id} already` }
    }
    if (!this.#openings.take(owner)) {
      return { code: CLOSE.full, reason: `${owner.id} has opened ${MAX_OPENINGS} links within a minute` }
    }
    this.#open(transport, opened.remoteAddress, identity, owner)
    return undefined
  }

  #open(transport: Transport, remoteAddress: string, identity: Identity, owner: LinkOwner): void {
    const { version, program, services: hasServices = false } = identity
    const { registry, observer, now = Date.now } = this.options
    const pingMs = this.#pingMs
    const id = nextLinkId()
    const secret = owner.kind === 'client' ? {} : { secret: registry.secretFor(id) }
    const welcome: Welcome = { treeline: 'welcome', link: id, pingMs, ...secret }
    transport.send(JSON.stringify(welcome))
    const onRoundTrip = (rttMs: number) => observer?.answeredPing(owner.kind, rttMs)
    const told = { id, owner, transport, remoteAddress, program, version, hasServices, pingMs, onRoundTrip }
    const link = new UpperLink({ ...told, connectedAtMs: now() })
    registry.add(link)
    this.#openings.log(link)
  }

  #takeLane(transport: Transport, { link: linkId = '', purpose }: Identity, owner: LinkOwner): LinkRefusal | undefined {
    const link = this.options.registry.byId(linkId)
    if (link === undefined || !isSameOwner(link.owner, owner)) {
      return { code: CLOSE.refused, reason: 'the link of this lane does not stand' }
    }
    if (!link.isOpen || link.lanes >= MAX_LANES) {
      return { code: CLOSE.full, reason: `its link is closing, or has ${MAX_LANES} lanes already` }
    }
    if (purpose === 'streams' && link.streamLane.isTaken) {
      return { code: CLOSE.full, reason: 'its link has a lane for streams already' }
    }
    transport.send(JSON.stringify({ treeline: 'welcome', link: linkId, pingMs: this.#pingMs }))
    if (purpose === 'streams') link.streamLane.add(transport)
    else link.addLane(transport)
    return undefined
  }

  #refuse(transport: Transport, { source, remoteAddress }: Opened, refusal: LinkRefusal, err?: unknown): void {
    this.#refusals.warn(source, { remoteAddress, reason: refusal.reason, err }, 'link refused')
    this.options.observer?.refused()
    refuse(transport, refusal)
  }

  close(): void {
    this.#isClosed = true
    this.#handshakes.endAll(CLOSE.stopping, 'the relay is stopping')
    this.options.registry.closeAll(CLOSE.stopping, 'the relay is stopping')
  }
}

function versionRefusal(version: number, { oldest, newest }: VersionRange): Admission | undefined {
  if (version >= oldest && version <= newest) return undefined
  return { refused: `version ${version} of the link is not one of ${oldest} to ${newest}` }
}

/** @param below the connection under the transport @throws {ChallengeError} when what it says of itself is not proved */
function admissionOf(
  challenge: Challenge,
  identity: Identity,
  below: Duplex,
  { admit, admitClient }: Pick<LinkAcceptorOptions, 'admit' | 'admitClient'>
): Admission {
  if (!('client' in identity)) {
    const admission = admit(Buffer.from(identity.certificate, 'base64'))
    if ('owner' in admission) checkAnswer(challenge, identity, ownFingerprint(below)) // not for strangers: it takes time
    return admission
  }
  return admitClient?.(identity.client) ?? { refused: 'this relay takes no clients' }
}

/**
 * The fingerprint of the certificate that this very connection was shown; undefined where the TLS does not end here.
 */
function ownFingerprint(below: Duplex): string | undefined {
  const own = below instanceof TLSSocket ? below.getX509Certificate() : undefined
  return own && fingerprint(own.raw)
}

function isSameOwner(a: LinkOwner, b: LinkOwner): boolean {
  if (a.kind === 'client') return b.kind === 'client' && a.id === b.id && a.clientId === b.clientId
  return a.kind === b.kind && a.id === b.id
}

/** The listener for all sockets, since there are thousands. */
function ignore(): void {}

function sourceOfConnection({ socket }: IncomingMessage): string {
  return sourceOf(socket.remoteAddress ?? '')
}

/** The address with the port, which tells one connection of a machine from the next. */
function addressOf({ socket: { remoteAddress = '', remotePort = 0 } }: IncomingMessage): string {
  return hostAndPort(remoteAddress, remotePort)
}
