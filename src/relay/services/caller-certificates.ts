import type { X509Certificate } from 'node:crypto'
import { TLSSocket } from 'node:tls'
import { CALL_URN, PURPOSE_URN, SERVICE_PURPOSE, urisOf } from '../../keys/certificates/certificate-purpose.js'
import { fingerprint } from '../../keys/certificates/fingerprint.js'
import { NO_SCOPES, type TokenRight } from '../../keys/tokens/token-right.js'
import { parseTokenScope, type TokenScope } from '../../keys/tokens/token-scope.js'
import type { Freshness } from '../../membership/revocations/list-freshness.js'
import type { RevocationBook } from '../../membership/revocations/revocation-book.js'
import { isoTime } from '../../values/time/iso-time.js'

const CLIENT_AUTHENTICATION = '1.3.6.1.5.5.7.3.2'

export interface CallerCertificatesOptions {
  /** Undefined where no CA of its own tells this relay whom to trust. */
  readonly book: Pick<RevocationBook, 'authority' | 'isTokenRevoked'> | undefined
  readonly freshness: Freshness
  readonly now?: () => number
}

/** Certificates that callers show in the handshake. */
export interface CallerCertificates {
  /** The CA whose certificates are asked for, PEM; undefined: none are. */
  authority(): string | undefined
  /** @returns undefined where none was shown, or one that this tree's CA did not issue */
  of(socket: object): TokenRight | undefined
}

/** Judges them by what the CA says of them; the checks of TLS are not relied upon, which other CAs could pass. */
export function createCallerCertificates(options: CallerCertificatesOptions): CallerCertificates {
  const seen = new WeakMap<TLSSocket, { readonly right: TokenRight | undefined }>()
  return {
    authority: () => options.book?.authority?.toString(),
    of(socket) {
      if (!(socket instanceof TLSSocket)) return undefined
      const before = seen.get(socket)
      if (before !== undefined) return before.right
      const leaf = socket.getPeerX509Certificate()
      const right = leaf === undefined ? undefined : rightOf(leaf, options)
      seen.set(socket, { right })
      return right
    }
  }
}

function rightOf(leaf: X509Certificate, { book, freshness, now = Date.now }: CallerCertificatesOptions) {
  const authority = book?.authority
  if (book === undefined || authority === undefined || !isIssuedBy(leaf, authority)) return undefined
  const uris = urisOf(leaf)
  const scopes = uris.flatMap(uri => scopeIn(uri) ?? [])
  const id = fingerprint(leaf.raw)
  const problem = purposeProblem(leaf, uris)
  const [fromMs, untilMs] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)]
  const whyNot = () => {
    if (problem !== undefined) return problem
    if (book.isTokenRevoked(id)) return 'it was revoked'
    // neither a clock that was set back nor one that is behind makes it last longer
    const nowMs = Math.max(now(), freshness.time()?.latestMs ?? 0)
    if (!(nowMs < untilMs)) return `it ended at ${isoTime(untilMs)}`
    return nowMs < fromMs ? `it begins at ${isoTime(fromMs)}` : undefined
  }
  return { whyNot, scopes: () => (whyNot() === undefined ? scopes : NO_SCOPES) }
}

function isIssuedBy(leaf: X509Certificate, authority: X509Certificate): boolean {
  try {
    return leaf.checkIssued(authority) && leaf.verify(authority.publicKey)
  } catch {
    return false // a key or a signature that cannot be read
  }
}

function purposeProblem(leaf: X509Certificate, uris: readonly string[]): string | undefined {
  const purposes = uris.filter(uri => uri.startsWith(PURPOSE_URN)).map(uri => uri.slice(PURPOSE_URN.length))
  if (purposes.length !== 1 || purposes[0] !== SERVICE_PURPOSE) {
    return `its purpose is ${purposes.join(' and ').slice(0, 80) || 'not named'}, and not ${SERVICE_PURPOSE}`
  }
  if (leaf.ca || leaf.keyUsage?.includes(CLIENT_AUTHENTICATION) !== true) return 'it is not one for clients of TLS'
  return undefined
}

function scopeIn(uri: string): TokenScope | undefined {
  return uri.startsWith(CALL_URN) ? parseTokenScope(`call:${uri.slice(CALL_URN.length)}`) : undefined
}
