/** The certificates of the tree's CA that were revoked before their end, as far as this machine knows. */
export interface Revocations {
  /**
   * @param fingerprint SHA-256 of the certificate's DER form, lower-case hex
   * @returns why nobody should trust it any more, for a user; undefined for one that is not known to be revoked
   */
  whyRevoked(fingerprint: string): string | undefined
  /**
   * Watches a certificate for what relies on it: `end` is called once, should it be revoked later.
   * @returns a function that ends this
   */
  watch(fingerprint: string, end: (why: string) => void): () => void
}

/** The revocations where no CA of the tree says what was revoked. */
export const NO_REVOCATIONS: Revocations = {
  whyRevoked: () => undefined,
  watch: () => () => undefined
}
