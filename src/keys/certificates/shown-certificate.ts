import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { fingerprint } from './fingerprint.js'
import type { Revocations } from './revocations.js'

/** The conditions that a certificate meets besides the checks of TLS. */
export interface ShownCertificateRules {
  /** SHA-256 of the certificates of which one has to be shown, lower-case hex; undefined: any that TLS accepts. */
  readonly pins: ReadonlySet<string> | undefined
  readonly revocations?: Revocations | undefined
}

/** The fingerprints of certificates that were looked at: with TLS 1.3, a connection shows one, in its handshake. */
const shownOn = new WeakMap<TLSSocket, string>()

/**
 * Looks at the certificate that the other side of a connection showed, and keeps its fingerprint for {@link shownBy}. Node
 * gives the chain of its issuers at the first look alone: code that needs the chain has to look first.
 */
export function lookAtCertificate(socket: TLSSocket): X509Certificate | undefined {
  const leaf = socket.getPeerX509Certificate()
  if (leaf !== undefined) shownOn.set(socket, fingerprint(leaf.raw))
  return leaf
}

/** SHA-256 of the certificate that the other side of a connection showed, lower-case hex; undefined: none, or not yet. */
export function shownBy(socket: object): string | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  if (!shownOn.has(socket)) lookAtCertificate(socket)
  return shownOn.get(socket)
}

/**
 * Compares a certificate that was shown with pins and revocations. Agents' certificates are CA:TRUE, so one that is pinned
 * could have signed the one shown: only itself counts.
 * @param notPinned the refusal of one that is not pinned
 * @returns the reason to refuse it, for a user; undefined: it is accepted
 */
export function whyRefused(
  shown: string | undefined,
  { pins, revocations }: ShownCertificateRules,
  notPinned: () => string
): string | undefined {
  if (pins !== undefined && (shown === undefined || !pins.has(shown))) return notPinned()
  return shown === undefined ? undefined : revocations?.whyRevoked(shown)
}

/** The words for a refusal of {@link holdToCertificate}. */
export interface CertificateWords {
  /** @param shown SHA-256 of the certificate that is not pinned, or undefined for none */
  readonly notPinned: (shown: string | undefined) => string
  readonly error: (why: string) => Error
}

/**
 * Holds the other side of a connection to the certificate that it showed: ends the connection when it is refused, or
 * revoked later.
 * @returns the error of a refusal; undefined: it is accepted
 */
export function holdToCertificate(
  socket: Socket,
  rules: ShownCertificateRules,
  { notPinned, error }: CertificateWords
): Error | undefined {
  const shown = shownBy(socket)
  const why = whyRefused(shown, rules, () => notPinned(shown))
  if (why !== undefined) {
    socket.destroy()
    return error(why)
  }
  if (shown !== undefined && rules.revocations !== undefined) {
    const unwatch = rules.revocations.watch(shown, later => socket.destroy(error(later)))
    socket.once('close', unwatch)
  }
  return undefined
}
