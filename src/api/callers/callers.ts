import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { shownBy } from '../../keys/certificates/shown-certificate.js'
import type { Caller } from '../../network/caller.js'
import { LINK_SECRET_HEADER } from '../../network/header-names.js'
import { isLoopback, type NetworkSet } from '../../network/network-set.js'
import { type KnownCertificates, neighbourOn, provenNode } from '../../tree/known-certificates.js'
import type { CurrentTopology } from '../../tree/topology.js'
import { forwardedOrigin } from './forwarded-origin.js'
import { hasProxyMark } from './proxy-marks.js'
import { type IsOwnHost, isForeignPage, type Passage } from './web-page.js'

export interface CallerSettings {
  readonly trustedProxies: () => NetworkSet
  /** Whether what comes over a plain connection was passed on by a proxy, whatever it has or lacks. */
  readonly isBehindProxy: (socket: object) => boolean
  readonly isOwnHost: IsOwnHost
  /** Whether a connection came to the socket of `general.socket`, which the file system guards. */
  readonly isLocalSocket: (socket: object) => boolean
  /** Whether a token is one of an administrator. */
  readonly isAdminToken: (token: string) => boolean
  readonly certificates: KnownCertificates
  /** Whether a request came over this relay's own link to its policy server. */
  readonly isFromAbove: (request: IncomingMessage) => boolean
  /** The relay or node whose link a secret was given with, while it stands. */
  readonly nodeOfSecret: (secret: string) => string | undefined
  readonly topology: CurrentTopology
}

interface Identity {
  readonly version: number
  readonly caller: Caller
}

const BEARER = /^Bearer +(\S+)$/i
/**
 * Identifies the caller by the connection (design, "Trust"; contract, "Remote run"). The proof is kept with the
 * connection, and looked up again once certificates or the tree change, so that a removal acts on open connections.
 */
export function createCallerIdentification(settings: CallerSettings): (request: IncomingMessage) => Caller {
  const identities = new WeakMap<object, Identity>()

  function connectionCaller(request: IncomingMessage): Caller {
    const { socket } = request
    const version = settings.certificates.version()
    const known = identities.get(socket)
    if (known !== undefined && known.version === version) return known.caller
    const address = socket.remoteAddress ?? ''
    const caller = certificateCaller(socket, address, settings) ?? addressCaller(socket, address, settings)
    identities.set(socket, { version, caller })
    return caller
  }

  function plainCaller(request: IncomingMessage): Caller {
    if (settings.isFromAbove(request)) return { kind: 'policy-server', address: '' }
    const caller = connectionCaller(request)
    const linked = isNeighbour(caller) ? undefined : linkedNode(request, settings)
    const addressed = addressedCaller(request, caller)
    if (linked === undefined) return addressed
    const isAddressOfProxy = addressed.kind === 'proxied' || addressed.isAddressOfProxy === true
    const { address } = addressed
    return { ...provenNode(linked, settings), address, ...(isAddressOfProxy ? { isAddressOfProxy } : {}) }
  }

  /** Identifies the caller behind proxies: each listener has its own rule, and none of them makes a caller local. */
  function addressedCaller(request: IncomingMessage, caller: Caller): Caller {
    const { socket } = request
    if (caller.kind !== 'local' && caller.kind !== 'network') return caller
    if (settings.isLocalSocket(socket)) return hasProxyMark(request.headers) ? { ...caller, kind: 'proxied' } : caller
    const trusted = settings.trustedProxies()
    if (socket instanceof TLSSocket) {
      return hasProxyMark(request.headers) && trusted.contains(caller.address)
        ? namedCaller(request, caller, trusted)
        : caller
    }
    const mayBePassedOn = caller.kind === 'local' || trusted.contains(caller.address)
    const isPassedOn = settings.isBehindProxy(socket) || (mayBePassedOn && hasProxyMark(request.headers))
    return isPassedOn ? proxiedCaller(request, caller, trusted) : caller
  }

  /** A name proves nothing on a connection without TLS or link; a script in a page can add the marks of a proxy, too. */
  function wayOf(request: IncomingMessage, { kind }: Caller): Passage {
    const { socket } = request
    if (socket instanceof TLSSocket || settings.isLocalSocket(socket)) return 'proven'
    if (settings.isFromAbove(request)) return 'proven' // by its connection: anyone can write another version of HTTP
    if (!settings.isBehindProxy(socket) && !hasProxyMark(request.headers)) return 'plain'
    return kind === 'proxied' || kind === 'network' ? 'passed-on' : 'proven' // no page has the secret of a link
  }

  return request => {
    const caller = plainCaller(request)
    if (isForeignPage(request, settings.isOwnHost, wayOf(request, caller))) {
      return { kind: 'web-page', address: caller.address }
    }
    return showsToken(request, settings) ? withToken(caller) : caller
  }
}

/** The token adds to what the caller may do: whoever is known by something better stays that. */
function withToken(caller: Caller): Caller {
  const isKnown = caller.kind !== 'network' && caller.kind !== 'proxied'
  return isKnown ? { ...caller, isAdmin: true } : { kind: 'admin', address: caller.address }
}

/**
 * Identifies a caller of whom only the address of the connection is known. One with TLS is never local, wherever it
 * comes from: what passes TCP connections on to `general.https_listen` from this machine leaves no mark in them.
 */
function addressCaller(socket: object, address: string, { isLocalSocket }: CallerSettings): Caller {
  const isLocal = isLocalSocket(socket) || (isLoopback(address) && !(socket instanceof TLSSocket))
  return { kind: isLocal ? 'local' : 'network', address }
}

/** Undefined where no certificate was presented; one of nobody in the tree makes a mere `network` caller. */
function certificateCaller(socket: object, address: string, settings: CallerSettings): Caller | undefined {
  if (shownBy(socket) === undefined) return undefined
  return { kind: 'network', address, ...neighbourOn(socket, settings) }
}

/**
 * The node whose link the caller holds, by the secret that the link was given: for requests beside the link, where who
 * ended the TLS kept the certificate.
 */
function linkedNode(request: IncomingMessage, { nodeOfSecret }: CallerSettings): string | undefined {
  const secret = request.headers[LINK_SECRET_HEADER]
  return typeof secret === 'string' ? nodeOfSecret(secret) : undefined
}

/** Whether a caller is known for one of the tree. */
export function isNeighbour({ kind }: Caller): boolean {
  return kind === 'policy-server' || kind === 'relay' || kind === 'node'
}

function showsToken({ headers }: IncomingMessage, { isAdminToken }: CallerSettings): boolean {
  const token = headers.authorization === undefined ? undefined : BEARER.exec(headers.authorization)?.[1]
  return token !== undefined && isAdminToken(token)
}

/**
 * Takes the name that a proxy at `general.https_listen` gives for another caller; the proxy cannot name one that it
 * decided about.
 */
function namedCaller(request: IncomingMessage, peer: Caller, trusted: NetworkSet): Caller {
  return { ...proxiedCaller(request, peer, trusted), kind: 'network' }
}

function proxiedCaller(request: IncomingMessage, peer: Caller, trusted: NetworkSet): Caller {
  if (!trusted.contains(peer.address)) return { kind: 'proxied', address: peer.address }
  const origin = forwardedOrigin(String(request.headers['x-forwarded-for'] ?? ''), trusted)
  if (origin.named !== undefined) return { kind: 'network', address: origin.named }
  // What is no address may be another text each time: whoever sends it is one source, that of the proxy that told of it.
  if (origin.isUnknown)
    return { kind: 'network', address: origin.proxies.at(-1) ?? peer.address, isAddressOfProxy: true }
  // A trusted proxy of this machine says that the caller is on this machine too; an absent header says nothing.
  const isOnThisMachine = isLoopback(peer.address) && origin.proxies.length > 0 && origin.proxies.every(isLoopback)
  return { kind: 'proxied', address: peer.address, ...(isOnThisMachine ? { isOnThisMachine } : {}) }
}
