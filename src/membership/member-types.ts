import type { MemberKind } from './members.js'

/** The request with which a machine joins. */
export interface JoinRequest {
  /** `<id>.<secret>` of the token. */
  readonly token: string
  readonly id: string
  readonly hostname: string
  /** The port at which a relay takes connections. */
  readonly port: number | undefined
  /** PKCS #10, DER: signed by the TLS key. */
  readonly request: Buffer
  /** SubjectPublicKeyInfo of the Ed25519 key that signs files, DER. */
  readonly signingKey: Buffer
  /** The signature of `request` by that key. */
  readonly signingProof: Buffer
}

/** The answer to a machine that joined, or whose certificate was renewed. */
export interface JoinAnswer {
  readonly id: string
  readonly kind: MemberKind
  /** PEM: its own, and the CA's. */
  readonly certificate: string
  readonly ca: string
  readonly policyServer: {
    readonly id: string
    readonly hostname: string
    readonly port: number | undefined
    /** PEM: all that it may present. */
    readonly certificates: string
  }
}

export interface NewToken {
  readonly kind: MemberKind
  readonly policyServer: string
  /**
   * The id for which alone the token holds, and which may be a member already: it then gets a new certificate, and
   * its old ones are revoked.
   */
  readonly memberId: string | undefined
  readonly uses: number
  readonly lifetimeMs: number
}

/** The token that the root is asked for; without a policy server, that of the member, or the root itself. */
export interface TokenAsked extends Omit<NewToken, 'policyServer'> {
  readonly policyServer: string | undefined
}

export interface TokenMade extends NewToken {
  /** Shown once: only its hash is kept. */
  readonly token: string
  readonly id: string
  readonly expiresAtMs: number
  /** The host name at which its policy server takes connections. */
  readonly hostname: string
  readonly port: number | undefined
  /** Whether `memberId` was a member when the token was made: it joins again then. */
  readonly isOfMember: boolean
}

/** The place to which a relay passes joins on, or at the root, where they end. */
export interface Joining {
  /** The CA's certificate, PEM. */
  ca(way: RequestWay): Promise<string>
  join(request: JoinRequest, way: RequestWay): Promise<JoinAnswer>
  /** @param request PKCS #10, DER, by the key of a certificate that the root listed */
  renew(request: Buffer, way: RequestWay): Promise<JoinAnswer>
}

/** The way on which a request came here. */
export interface RequestWay {
  /** Ids of the relays passed, oldest first, as they came. */
  readonly passed: readonly string[]
  readonly signal: AbortSignal
}
