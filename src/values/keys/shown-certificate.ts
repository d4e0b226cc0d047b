import { TLSSocket } from 'node:tls'
import { fingerprint } from './fingerprint.js'
import type { Revocations } from './revocations.js'

/** The conditions that a certificate meets besides the checks of TLS. */
export interface ShownCertificateRules {
  /** SHA-256 of the certificates of which one has to be shown, lower-case hex; undefined: any that TLS accepts. */
  readonly pins: ReadonlySet<string> | undefined
  readonly revocations?: Revocations | undefined
}

/** SHA-256 of the certificate that the other side of a connection showed, lower-case hex. */
export function shownBy(socket: object): string | undefined {
  const leaf = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  return leaf === undefined ? undefined : fingerprint(leaf.raw)
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
