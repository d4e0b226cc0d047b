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
