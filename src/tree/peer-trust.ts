import { createHash, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { type ConnectionOptions, checkServerIdentity, TLSSocket } from 'node:tls'
import { buildConnector } from 'undici'
import { WrongCertificateError } from './hop-failures.js'
import { throughProxy } from './proxy-tunnel.js'

/** What a neighbour must present for us to speak to it (contract, `peer_authentication`). */
export type PeerTrust =
  | { readonly mode: 'cert_pinning'; readonly pins: readonly Buffer[]; readonly pinsFile: string }
  | { readonly mode: 'cert_validation'; readonly ca: string | undefined; readonly hostname: string }
  | { readonly mode: 'dangerous_none' }

/** Our own certificate and key, PEM, presented to whoever asks for it. */
export interface ClientCertificate {
  readonly cert: string
  readonly key: string
}

export interface PeerConnectorOptions {
  readonly trust: PeerTrust
  readonly clientCertificate: ClientCertificate | undefined
  /** URL of the HTTP proxy that leads there. */
  readonly proxy?: string | undefined
  /** TCP and TLS together; the way through a proxy besides. */
  readonly connectTimeoutMs: number
}

/**
 * Opens connections that are handed over only once the neighbour proved who it is. TLS 1.3 only. Sessions are never
 * resumed, so that each connection shows a certificate, and it is checked again.
 */
export function createPeerConnector(options: PeerConnectorOptions): buildConnector.connector {
  const { trust, proxy, clientCertificate, connectTimeoutMs } = options
  const direct = buildConnector({
    minVersion: 'TLSv1.3',
    timeout: connectTimeoutMs,
    maxCachedSessions: 0,
    ...(clientCertificate ?? {}),
    ...verification(trust)
  })
  const connect = proxy === undefined ? direct : throughProxy(direct, new URL(proxy), connectTimeoutMs)
  if (trust.mode !== 'cert_pinning') return connect
  const pinned = new Set(trust.pins.map(fingerprint))
  return (target, callback) => {
    connect(target, (error, socket) => {
      if (error !== null) return callback(error, null)
      const refusal = refusalOf(socket, pinned, trust.pinsFile)
      if (refusal === undefined) return callback(null, socket)
      socket.destroy()
      callback(refusal, null)
    })
  }
}

/** SHA-256 of a certificate's DER form, lower-case hex. */
export function fingerprint(der: Buffer): string {
  return createHash('sha256').update(der).digest('hex')
}

type Verification = Pick<
  ConnectionOptions,
  'ca' | 'allowPartialTrustChain' | 'checkServerIdentity' | 'rejectUnauthorized' | 'servername'
>

/** What TLS itself checks. For `cert_pinning` the leaf has to be compared with the pins as well. */
export function verification(trust: PeerTrust): Verification {
  switch (trust.mode) {
    case 'cert_pinning':
      return {
        ca: trust.pins.map(der => new X509Certificate(der).toString()),
        allowPartialTrustChain: true,
        checkServerIdentity: () => undefined
      }
    case 'cert_validation':
      return {
        ...(trust.ca === undefined ? {} : { ca: trust.ca }),
        ...(isIP(trust.hostname) === 0 ? { servername: trust.hostname } : {}),
        // The node's name, wherever it is reached.
        checkServerIdentity: (_, certificate) => checkServerIdentity(trust.hostname, certificate)
      }
    case 'dangerous_none':
      return { rejectUnauthorized: false }
  }
}

/** Agents' certificates are CA:TRUE, so one that is pinned could have signed the one presented: only itself counts. */
function refusalOf(socket: object, pinned: ReadonlySet<string>, pinsFile: string): Error | undefined {
  const leaf = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  if (leaf !== undefined && pinned.has(fingerprint(leaf.raw))) return undefined
  const shown = leaf === undefined ? 'no certificate' : `a certificate (sha256:${fingerprint(leaf.raw)})`
  return new WrongCertificateError(`it presents ${shown} that is not one of those known for it in ${pinsFile}`)
}
