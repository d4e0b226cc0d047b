export type MemberKind = 'relay' | 'node'

/** A member of the tree. Times are ms since 1970. */
export interface Member {
  readonly id: string
  readonly kind: MemberKind
  /** The id of its policy server; at the root, its own id. */
  readonly policyServer: string
  readonly hostname: string
  /** The port at which a relay takes connections. */
  readonly port: number | undefined
  /** The hash as in the nodes list; empty for none. */
  readonly keyHash: string
  /** SHA-256 of the TLS key's SubjectPublicKeyInfo; undefined for a member that was taken over. */
  readonly tlsKeyHash: Buffer | undefined
  /** The token that it joined with. */
  readonly tokenId: string | undefined
  readonly joinedAtMs: number
}

/** A certificate that a member has, or had. Times are ms since 1970. */
export interface MemberCertificate {
  /** SHA-256 of the DER. */
  readonly fingerprint: Buffer
  readonly memberId: string
  /** Upper-case hex. */
  readonly serial: string
  readonly der: Buffer
  readonly notBeforeMs: number
  readonly notAfterMs: number
}
