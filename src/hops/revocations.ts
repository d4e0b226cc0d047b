/** Which certificates of the tree's CA were revoked before their end, as far as it is known here. */
export interface Revocations {
  /**
   * @param fingerprint SHA-256 of the certificate's DER form, lower-case hex
   * @returns why nobody should trust it any more, for a user; undefined for one that is not known to be revoked
   */
  whyRevoked(fingerprint: string): string | undefined
  /**
   * For what stands by a certificate: `end` is called once, should that certificate be revoked later.
   * @returns a function that ends this
   */
  watch(fingerprint: string, end: (why: string) => void): () => void
}

/** Where no CA of the tree says what was revoked. */
export const NO_REVOCATIONS: Revocations = {
  whyRevoked: () => undefined,
  watch: () => () => undefined
}
