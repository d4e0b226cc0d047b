import type { RunningTimeReadings } from '../../process/running-time.js'
import type { Member, MemberCertificate, MemberKind } from '../members.js'

/** A token that machines join with. Times are ms since 1970. */
export interface JoinTokenRecord {
  readonly id: string
  /** SHA-256 of its secret part. */
  readonly secretHash: Buffer
  readonly kind: MemberKind
  readonly policyServer: string
  /** The one id that may join with it, even where there is such a member; undefined: any new one. */
  readonly memberId: string | undefined
  readonly usesLeft: number
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly revokedAtMs: number | undefined
}

/** The place at which a page of certificates ended. Only the repository knows how to read it. */
export type CertificateCursor = number | string

/** A page of certificates, and the cursor of the next one. */
export interface CertificatePage {
  readonly certificates: readonly MemberCertificate[]
  /** Undefined after the last page. */
  readonly next: CertificateCursor | undefined
}

/** Members with their certificates. */
export interface MembersWithCertificates {
  readonly members: Iterable<Member>
  readonly certificates: Iterable<MemberCertificate>
}

/** The members have changed since `seen`: look at them again, and decide anew. */
export type Changed = 'changed'

/**
 * The members of a tree, their certificates, and the tokens that they join with. A change is durable once its promise
 * resolves, whole or not at all.
 *
 * Whether a change is right is decided by what was read before. So a change names the {@link version} that was read, and
 * is not made, but answered with `changed`, when another one came first, in this process or in another.
 */
export interface MemberRepository extends RunningTimeReadings {
  /** How often members or their certificates have changed. Tokens do not count. */
  version(): Promise<number>

  member(id: string): Promise<Member | undefined>
  /** A relay with this host name, in any case of letters, other than `exceptId`. */
  relayByHostname(hostname: string, exceptId: string): Promise<Member | undefined>
  /** The members in the order of their ids. @param afterId only members whose id is greater */
  members(afterId: string, limit: number): Promise<Member[]>
  memberCount(): Promise<number>
  /** How many members have `id` as their policy server, apart from itself. */
  countUnder(id: string): Promise<number>
  /** Ids of these that are relays, in their order. @param afterId only ids that are greater */
  relaysUnder(id: string, afterId: string, limit: number): Promise<string[]>

  /** Certificates that are neither revoked nor at their end, the newest first, and last the ones not valid yet. */
  certificatesOf(memberId: string, nowMs: number): Promise<MemberCertificate[]>
  /** The newest that was not revoked, whether it has ended or not. */
  lastCertificateOf(memberId: string, nowMs: number): Promise<MemberCertificate | undefined>
  /** All that are neither revoked nor at their end. @param after the `next` of the page before */
  certificates(nowMs: number, after: CertificateCursor | undefined, limit: number): Promise<CertificatePage>
  /** All that were revoked and end after `afterMs`. */
  revokedCertificates(afterMs: number, after: CertificateCursor | undefined, limit: number): Promise<CertificatePage>
  /** @returns undefined for a certificate that is not known */
  certificateState(fingerprint: Buffer): Promise<'good' | 'revoked' | undefined>
  /** The first time after `afterMs` at which a certificate ends that was not revoked. */
  nextEnd(afterMs: number): Promise<number | undefined>

  /** Members that were there before: the root, or a tree that is taken over. */
  addMembers(first: MembersWithCertificates): Promise<void>
  /**
   * Puts these members in place of all that are there; other certificates, and all tokens, are revoked.
   * @param version of the tree that they come from, which the new version is above
   */
  replaceMembers(former: MembersWithCertificates, version: number, nowMs: number): Promise<void>
  /**
   * Adds a member with its first certificate, and takes one use of its token. A member with the same id is replaced, and
   * its certificates are revoked.
   * @returns `unusable` when the token has no use left, has expired or was revoked; then nothing has changed
   */
  join(seen: number, member: Member, certificate: MemberCertificate): Promise<'joined' | 'unusable' | Changed>
  addCertificate(seen: number, certificate: MemberCertificate): Promise<'added' | Changed>
  setPolicyServer(seen: number, id: string, policyServer: string): Promise<'moved' | Changed>
  /** Removes a member, and revokes its certificates and the tokens that are for its id alone. */
  remove(seen: number, id: string, nowMs: number): Promise<'removed' | 'unknown' | Changed>

  token(id: string): Promise<JoinTokenRecord | undefined>
  /** The oldest first. */
  tokens(): Promise<JoinTokenRecord[]>
  /** @returns `full` when there are `maxTokens` already; then nothing has changed */
  addToken(token: JoinTokenRecord, maxTokens: number): Promise<'added' | 'full'>
  /** @returns false when there is none to revoke */
  revokeToken(id: string, nowMs: number): Promise<boolean>
  /**
   * Notes which tokens and certificates have ended by `nowMs`, and forgets those of which that has been so for longer
   * than `rememberedMs`; both are refused without a record too. The last certificate of a member is kept.
   * @param ranMs how long the machine has run
   */
  forgetEnded(nowMs: number, ranMs: number, rememberedMs: number): Promise<void>
  /** Forgets tokens that were revoked. */
  forgetRevokedTokens(): Promise<void>
}
