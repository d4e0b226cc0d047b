import type { X509Certificate } from 'node:crypto'

/** The prefix of the purpose in the alternative names of each certificate that the root of a tree issued. */
export const PURPOSE_URN = 'urn:treeline:purpose:'

/**
 * The role in which a machine joined its tree, by a certificate that is known to be its own.
 * @param certificate DER. @returns undefined for one that did not come from the root
 */
export function purposeOf(certificate: Buffer): 'relay' | 'node' | undefined {
  for (const purpose of ['relay', 'node'] as const) if (certificate.includes(PURPOSE_URN + purpose)) return purpose
  return undefined
}

/** The purpose of certificates of callers of services (contract "links and services", table 2). */
export const SERVICE_PURPOSE = 'service'

/** The prefix of a key that a caller's certificate lets its holder call. `*` at the end of a key stands for any rest. */
export const CALL_URN = 'urn:treeline:call:'

/** The URIs among the alternative names of a certificate. Node quotes a name that could be read as several. */
export function urisOf({ subjectAltName = '' }: X509Certificate): string[] {
  return subjectAltName.split(', ').flatMap(name => (name.startsWith('URI:') ? name.slice('URI:'.length) : []))
}
