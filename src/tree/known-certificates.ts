/** The owners of certificates. */
export interface KnownCertificates {
  /** @param fingerprint SHA-256 of the DER, lower-case hex */
  nodeOf(fingerprint: string): string | undefined
  isPolicyServer(fingerprint: string): boolean
  /** Certificates listed for a node, as DER. */
  of(nodeId: string): readonly Buffer[]
  /** Changes whenever any of the answers above may have. */
  version(): number
}
