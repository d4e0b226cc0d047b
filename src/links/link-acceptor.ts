import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Logger } from '../values/logger.js'
import { makeRunId } from '../values/run-id.js'
import { ChallengeError, checkAnswer, type Identity, makeChallenge, parseIdentity } from './challenge.js'
import type { LinkRegistry } from './link-registry.js'
import { nextText } from './messages.js'
import {
  CLOSE,
  HANDSHAKE_LIMIT_MS,
  LINK_VERSIONS,
  MAX_MESSAGE_BYTES,
  PING_EVERY_MS,
  REGISTER_PATH,
  type VersionRange
} from './protocol.js'
import { type LinkOwner, UpperLink } from './upper-link.js'

/** Handshakes under way at once; further ones are answered 503 and come again after their backoff. */
const MAX_HANDSHAKES = 512

/** Who a certificate belongs to, or why nobody may come with it. */
export type Admission = { readonly owner: LinkOwner } | { readonly refused: string }

interface Refusal {
  /** One of {@link CLOSE}. */
  readonly code: number
  readonly reason: string
}

export interface LinkAcceptorOptions {
  readonly selfId: string
  readonly registry: LinkRegistry
  /** @param certificate DER; its holder has proved to have the key */
  readonly admit: (certificate: Buffer) => Admission
  readonly logger: Logger
  readonly now?: () => number
  readonly versions?: VersionRange
  readonly pingMs?: number
}

export interface LinkAcceptor {
  /** For the `upgrade` event of a server. Anything but {@link REGISTER_PATH} is refused. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  close(): void
}

/** Where relays and nodes open their links: the upper side of the handshake. */
export function createLinkAcceptor(options: LinkAcceptorOptions): LinkAcceptor {
  const { selfId, registry, admit, logger, now = Date.now, versions = LINK_VERSIONS, pingMs = PING_EVERY_MS } = options
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES
  })
  let handshakes = 0
  let isClosed = false

  async function shakeHands(socket: WebSocket, remoteAddress: string): Promise<void> {
    const challenge = makeChallenge(selfId, versions)
    const taken = nextText(socket, HANDSHAKE_LIMIT_MS, text => {
      const identity = parseIdentity(text)
      const certificate = checkAnswer(challenge, identity)
      // In the same turn as the message: what follows it is HTTP/2, or the lane's bytes.
      const refusal = take(socket, remoteAddress, identity, certificate)
      if (refusal !== undefined) refuse(socket, refusal)
    })
    socket.send(JSON.stringify(challenge))
    await taken
  }

  function take(
    socket: WebSocket,
    remoteAddress: string,
    identity: Identity,
    certificate: Buffer
  ): Refusal | undefined {
    if (isClosed) return { code: CLOSE.stopping, reason: 'the relay is stopping' }
    const { version, program, purpose } = identity
    const admission = admit(certificate)
    if ('refused' in admission) return { code: CLOSE.refused, reason: admission.refused }
    if (version < versions.oldest || version > versions.newest) {
      const known = `${versions.oldest} to ${versions.newest}`
      return { code: CLOSE.refused, reason: `version ${version} of the link is not one of ${known}` }
    }
    const { owner } = admission
    if (purpose === 'lane') return takeLane(socket, identity, owner)
    if (registry.isFullFor(owner)) return { code: CLOSE.full, reason: 'there are links.max links already' }
    const id = makeRunId(now())
    socket.send(JSON.stringify({ treeline: 'welcome', link: id, pingMs }))
    registry.add(new UpperLink({ id, owner, socket, remoteAddress, program, version, connectedAtMs: now(), pingMs }))
    logger.info({ id: owner.id, kind: owner.kind, remoteAddress }, 'link opened')
    return undefined
  }

  function takeLane(socket: WebSocket, { link: linkId = '' }: Identity, owner: LinkOwner): Refusal | undefined {
    const link = registry.byId(linkId)
    if (link?.owner.id !== owner.id || link.owner.kind !== owner.kind) {
      return { code: CLOSE.refused, reason: 'the link of this lane does not stand' }
    }
    socket.send(JSON.stringify({ treeline: 'welcome', link: linkId, pingMs }))
    link.addLane(socket)
    return undefined
  }

  function statusFor(request: IncomingMessage): string | undefined {
    if (pathOf(request) !== REGISTER_PATH) return '404 Not Found'
    return isClosed || handshakes >= MAX_HANDSHAKES ? '503 Service Unavailable' : undefined
  }

  return {
    upgrade(request, socket, head) {
      socket.on('error', () => undefined)
      const status = statusFor(request)
      if (status !== undefined) {
        refuseUpgrade(socket, status)
        return
      }
      handshakes += 1
      let isUpgraded = false
      const remoteAddress = request.socket.remoteAddress ?? ''
      server.handleUpgrade(request, socket, head, webSocket => {
        webSocket.on('error', () => undefined) // `close` follows
        isUpgraded = true
        shakeHands(webSocket, remoteAddress)
          .catch((error: unknown) => {
            const reason = error instanceof ChallengeError ? error.message : 'the handshake failed'
            logger.warn({ remoteAddress, reason, err: error instanceof ChallengeError ? undefined : error }, 'no link')
            refuse(webSocket, { code: CLOSE.refused, reason })
          })
          .finally(() => {
            handshakes -= 1
          })
      })
      if (!isUpgraded) handshakes -= 1 // what was asked for is no WebSocket; ws has answered
    },
    close() {
      isClosed = true
      registry.closeAll(CLOSE.stopping, 'the relay is stopping')
    }
  }
}

function pathOf({ url = '' }: IncomingMessage): string {
  const end = url.indexOf('?')
  return end === -1 ? url : url.slice(0, end)
}

/** A close reason may have 123 bytes (RFC 6455, section 5.5), so the whole of it goes as a message. */
function refuse(socket: WebSocket, { code, reason }: Refusal): void {
  if (socket.readyState === socket.OPEN) socket.send(JSON.stringify({ treeline: 'refused', reason }))
  socket.close(code)
  setTimeout(() => socket.terminate(), 1_000).unref()
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n`)
}
