import type { Database } from './database.js'
import { checkInPlace } from './in-place.js'

export type MemberKind = 'relay' | 'node'

/** A member of the tree. Times are ms since 1970. */
export interface MemberRow {
  readonly id: string
  readonly kind: MemberKind
  /** Its own id at the root. */
  readonly policyServer: string
  readonly hostname: string
  /** Where a relay takes connections. */
  readonly port: number | null
  /** As in the nodes list; empty for none. */
  readonly keyHash: string
  /** SHA-256 of the TLS key's SubjectPublicKeyInfo; null for a member that was taken over. */
  readonly tlsKeyHash: Buffer | null
  readonly tokenId: string | null
  readonly joinedAtMs: number
}

export interface MemberCertificateRow {
  /** SHA-256 of the DER. */
  readonly fingerprint: Buffer
  readonly memberId: string
  /** Upper-case hex. */
  readonly serial: string
  readonly der: Buffer
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

export interface TokenRow {
  readonly id: string
  readonly secretHash: Buffer
  readonly kind: MemberKind
  readonly policyServer: string
  /** The one id that may join with it, even where there is such a member; null: any new one. */
  readonly memberId: string | null
  readonly usesLeft: number
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly revokedAtMs: number | null
}

/** Members with their certificates, from elsewhere than the database. */
interface Restored {
  readonly members: Iterable<MemberRow>
  readonly certificates: Iterable<MemberCertificateRow>
}

const MEMBER = `id, kind, policy_server AS policyServer, hostname, port, key_hash AS keyHash,
  tls_key_hash AS tlsKeyHash, token_id AS tokenId, joined_at AS joinedAtMs`
const CERTIFICATE = `fingerprint, member_id AS memberId, serial, der, not_before AS notBeforeMs, not_after AS notAfterMs`
const TOKEN = `id, secret_hash AS secretHash, kind, policy_server AS policyServer, member_id AS memberId, uses_left AS usesLeft,
  created_at AS createdAtMs, expires_at AS expiresAtMs, revoked_at AS revokedAtMs`

export type MemberStore = ReturnType<typeof createMemberStore>

/** Members, their certificates, and the tokens that they join with. @param db the root's state database */
export function createMemberStore(db: Database) {
  const selectMember = db.prepare<[string], MemberRow>(`SELECT ${MEMBER} FROM members WHERE id = ?`)
  const selectRelayCalled = db.prepare<[string, string], MemberRow>(
    `SELECT ${MEMBER} FROM members WHERE hostname = ? COLLATE NOCASE AND kind = 'relay' AND id <> ? ORDER BY id LIMIT 1`
  )
  const selectMembers = db.prepare<[string, number], MemberRow>(
    `SELECT ${MEMBER} FROM members WHERE id > ? ORDER BY id LIMIT ?`
  )
  const countMembers = db.prepare<[], number>('SELECT count(*) FROM members').pluck()
  const countUnder = db
    .prepare<[string], number>('SELECT count(*) FROM members WHERE policy_server = ? AND id <> policy_server')
    .pluck()
  const selectRelaysUnder = db
    .prepare<[string, string, number], string>(
      `SELECT id FROM members WHERE policy_server = ? AND kind = 'relay' AND id <> policy_server AND id > ? ORDER BY id LIMIT ?`
    )
    .pluck()
  const insertMember = db.prepare(
    `INSERT INTO members (id, kind, policy_server, hostname, port, key_hash, tls_key_hash, token_id, joined_at)
     VALUES (@id, @kind, @policyServer, @hostname, @port, @keyHash, @tlsKeyHash, @tokenId, @joinedAtMs)`
  )
  const deleteMember = db.prepare<[string]>('DELETE FROM members WHERE id = ?')
  const updatePolicyServer = db.prepare<[string, string]>('UPDATE members SET policy_server = ? WHERE id = ?')
  const insertCertificate = db.prepare(
    `INSERT INTO member_certificates (fingerprint, member_id, serial, der, not_before, not_after)
     VALUES (@fingerprint, @memberId, @serial, @der, @notBeforeMs, @notAfterMs)`
  )
  /** One that was issued while the clock was ahead is not valid yet: it comes after all others. */
  const newestFirst = 'ORDER BY not_before > ?, not_before DESC, rowid DESC'
  const selectGood = db.prepare<[string, number, number], MemberCertificateRow>(
    `SELECT ${CERTIFICATE} FROM member_certificates
     WHERE member_id = ? AND revoked_at IS NULL AND not_after > ? ${newestFirst}`
  )
  const selectLast = db.prepare<[string, number], MemberCertificateRow>(
    `SELECT ${CERTIFICATE} FROM member_certificates
     WHERE member_id = ? AND revoked_at IS NULL ${newestFirst} LIMIT 1`
  )
  const selectAllGood = db.prepare<[number, number, number], MemberCertificateRow & { readonly place: number }>(
    `SELECT ${CERTIFICATE}, rowid AS place FROM member_certificates
     WHERE revoked_at IS NULL AND not_after > ? AND rowid > ? ORDER BY rowid LIMIT ?`
  )
  const selectNextEnd = db
    .prepare<[number], number | null>(
      'SELECT min(not_after) FROM member_certificates WHERE revoked_at IS NULL AND not_after > ?'
    )
    .pluck()
  const selectIsRevoked = db
    .prepare<[Buffer], number>('SELECT revoked_at IS NOT NULL FROM member_certificates WHERE fingerprint = ?')
    .pluck()
  const selectAllRevoked = db.prepare<[number, number, number], MemberCertificateRow & { readonly place: number }>(
    `SELECT ${CERTIFICATE}, rowid AS place FROM member_certificates
     WHERE revoked_at IS NOT NULL AND not_after > ? AND rowid > ? ORDER BY rowid LIMIT ?`
  )
  const revokeCertificates = db.prepare<[number, string]>(
    'UPDATE member_certificates SET revoked_at = ? WHERE member_id = ? AND revoked_at IS NULL'
  )
  const deleteEnded = db.prepare<[number]>(
    `DELETE FROM member_certificates WHERE not_after < ? AND (revoked_at IS NOT NULL OR rowid <>
       (SELECT max(rowid) FROM member_certificates AS own WHERE own.member_id = member_certificates.member_id))`
  )
  const selectToken = db.prepare<[string], TokenRow>(`SELECT ${TOKEN} FROM join_tokens WHERE id = ?`)
  const selectTokens = db.prepare<[], TokenRow>(`SELECT ${TOKEN} FROM join_tokens ORDER BY created_at, id`)
  const countTokens = db.prepare<[], number>('SELECT count(*) FROM join_tokens').pluck()
  const insertToken = db.prepare(
    `INSERT INTO join_tokens
       (id, secret_hash, kind, policy_server, member_id, uses_left, created_at, expires_at, revoked_at)
     VALUES
       (@id, @secretHash, @kind, @policyServer, @memberId, @usesLeft, @createdAtMs, @expiresAtMs, @revokedAtMs)`
  )
  const useToken = db.prepare<[string]>(
    'UPDATE join_tokens SET uses_left = uses_left - 1 WHERE id = ? AND uses_left > 0'
  )
  const revokeToken = db.prepare<[number, string]>(
    'UPDATE join_tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL'
  )
  const revokeAll = db.prepare<[number]>('UPDATE member_certificates SET revoked_at = ? WHERE revoked_at IS NULL')
  const revokeTokens = db.prepare<[number]>('UPDATE join_tokens SET revoked_at = ? WHERE revoked_at IS NULL')
  const deleteMembers = db.prepare<[]>('DELETE FROM members')
  const deleteCertificate = db.prepare<[Buffer]>('DELETE FROM member_certificates WHERE fingerprint = ?')
  const selectChanges = db.prepare<[], number>('SELECT changes FROM membership').pluck()
  const countChange = db.prepare<[]>('UPDATE membership SET changes = changes + 1')
  const continueFrom = db.prepare<[number]>('UPDATE membership SET changes = max(changes, ?) + 1')
  const deleteTokens = db.prepare<[number]>('DELETE FROM join_tokens WHERE expires_at < ?')

  /** Before anything is written, see {@link checkInPlace}. */
  function inPlace<Args extends unknown[], Result>(write: (...args: Args) => Result): (...args: Args) => Result {
    return (...args) => {
      checkInPlace(db)
      return write(...args)
    }
  }

  function change<Args extends unknown[], Result>(write: (...args: Args) => Result): (...args: Args) => Result {
    return inPlace(
      db.transaction((...args: Args) => {
        countChange.run()
        return write(...args)
      })
    )
  }

  return {
    member: (id: string) => selectMember.get(id),
    /** A relay with this host name, other than `exceptId`. */
    relayByHostname: (hostname: string, exceptId: string) => selectRelayCalled.get(hostname, exceptId),
    /** In the order of their ids; a page at a time, so that other work gets its turn. */
    members: (afterId: string, limit: number) => selectMembers.all(afterId, limit),
    memberCount: () => countMembers.get() ?? 0,
    /** How many have `id` as their policy server. */
    countUnder: (id: string) => countUnder.get(id) ?? 0,
    relaysUnder: (id: string, afterId: string, limit: number) => selectRelaysUnder.all(id, afterId, limit),
    /** Certificates that are neither revoked nor at their end, the newest first. */
    certificatesOf: (id: string, nowMs: number) => selectGood.all(id, nowMs, nowMs),
    /** The newest that was not revoked, whether it has ended or not. */
    lastCertificateOf: (id: string, nowMs: number) => selectLast.get(id, nowMs),
    /** All of these, a page at a time. @param afterPlace that of the last one of the page before; 0 for the first */
    certificates: (nowMs: number, afterPlace: number, limit: number) => selectAllGood.all(nowMs, afterPlace, limit),
    /** Undefined for one that is not known. */
    certificateState: (fingerprint: Buffer): 'good' | 'revoked' | undefined => {
      const isRevoked = selectIsRevoked.get(fingerprint)
      if (isRevoked === undefined) return undefined
      return isRevoked === 1 ? 'revoked' : 'good'
    },
    /** Those that were revoked and end after `afterMs`, a page at a time. @param afterPlace as for {@link certificates} */
    revokedCertificates: (afterMs: number, afterPlace: number, limit: number) =>
      selectAllRevoked.all(afterMs, afterPlace, limit),
    /** The first time after `afterMs` at which a certificate ends that was not revoked; undefined: none does. */
    nextEnd: (afterMs: number) => selectNextEnd.get(afterMs) ?? undefined,
    addCertificate: change((row: MemberCertificateRow) => {
      insertCertificate.run(row)
    }),
    /** How often members or their certificates have changed. */
    changes: () => selectChanges.get() ?? 0,
    token: (id: string) => selectToken.get(id),
    tokens: () => selectTokens.all(),
    tokenCount: () => countTokens.get() ?? 0,
    addToken: inPlace((row: TokenRow) => {
      insertToken.run(row)
    }),
    /** @returns false when there is none to revoke */
    revokeToken: inPlace((id: string, nowMs: number) => revokeToken.run(nowMs, id).changes > 0),
    /**
     * Forgets tokens and certificates that ended before `beforeMs`; both are refused without a record too. The last
     * certificate of a member is kept.
     */
    forgetEnded: inPlace(
      db.transaction((beforeMs: number) => {
        deleteTokens.run(beforeMs)
        deleteEnded.run(beforeMs)
      })
    ),
    setPolicyServer: change((id: string, policyServer: string) => {
      updatePolicyServer.run(policyServer, id)
    }),
    /** All of it, or nothing: members that were there before (the root, or a tree that is taken over). */
    addMembers: change((members: Iterable<MemberRow>, certificates: Iterable<MemberCertificateRow>) => {
      for (const member of members) insertMember.run(member)
      for (const certificate of certificates) insertCertificate.run(certificate)
    }),
    /**
     * These in place of all that are there, whose other certificates are revoked, as are all tokens.
     * @param changes how often the members had changed when these were the tree
     */
    replaceMembers: inPlace(
      db.transaction(({ members, certificates }: Restored, changes: number, nowMs: number) => {
        revokeAll.run(nowMs)
        revokeTokens.run(nowMs)
        deleteMembers.run()
        for (const member of members) insertMember.run(member)
        for (const certificate of certificates) {
          deleteCertificate.run(certificate.fingerprint)
          insertCertificate.run(certificate)
        }
        continueFrom.run(changes)
      })
    ),
    /**
     * A member with its first certificate, and one use of its token. A member with the same id is replaced, and its
     * certificates are revoked.
     * @returns false when the token had no use left; then nothing has changed
     */
    join: change((member: MemberRow, certificate: MemberCertificateRow): boolean => {
      if (useToken.run(member.tokenId ?? '').changes === 0) return false
      revokeCertificates.run(member.joinedAtMs, member.id)
      deleteMember.run(member.id)
      insertMember.run(member)
      insertCertificate.run(certificate)
      return true
    }),
    /** Removes a member and revokes its certificates. @returns false when it is none */
    remove: change((id: string, nowMs: number): boolean => {
      revokeCertificates.run(nowMs, id)
      return deleteMember.run(id).changes > 0
    })
  }
}
