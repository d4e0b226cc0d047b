import type { Database } from '../../sqlite-engine/database.js'
import { insertInto, selectList } from './columns.js'
import {
  CERTIFICATE_COLUMNS,
  type CertificateRow,
  MEMBER_COLUMNS,
  type MemberRow,
  TOKEN_COLUMNS,
  type TokenRow
} from './member-rows.js'

/** A certificate, and where it stands among all. */
export type PlacedCertificate = CertificateRow & { readonly place: number }

const MEMBER = selectList(MEMBER_COLUMNS)
const CERTIFICATE = selectList(CERTIFICATE_COLUMNS)
const TOKEN = selectList(TOKEN_COLUMNS)

/** A certificate that was issued while the clock was ahead is not valid yet: it comes after all others. */
const NEWEST_FIRST = 'ORDER BY not_before > ?, not_before DESC, rowid DESC'

export type MemberStatements = ReturnType<typeof memberStatements>

/** The statements of the member repository, prepared once. */
export function memberStatements(db: Database) {
  return {
    ...memberReads(db),
    ...memberWrites(db),
    ...certificateReads(db),
    ...certificateWrites(db),
    ...tokens(db),
    ...versions(db),
    ...ends(db)
  }
}

function memberReads(db: Database) {
  return {
    member: db.prepare<[string], MemberRow>(`SELECT ${MEMBER} FROM members WHERE id = ?`),
    relayByHostname: db.prepare<[string, string], MemberRow>(
      `SELECT ${MEMBER} FROM members
       WHERE hostname = ? COLLATE NOCASE AND kind = 'relay' AND id <> ? ORDER BY id LIMIT 1`
    ),
    members: db.prepare<[string, number], MemberRow>(`SELECT ${MEMBER} FROM members WHERE id > ? ORDER BY id LIMIT ?`),
    memberCount: db.prepare<[], number>('SELECT count(*) FROM members').pluck(),
    countUnder: db
      .prepare<[string], number>('SELECT count(*) FROM members WHERE policy_server = ? AND id <> policy_server')
      .pluck(),
    relaysUnder: db
      .prepare<[string, string, number], string>(
        `SELECT id FROM members
         WHERE policy_server = ? AND kind = 'relay' AND id <> policy_server AND id > ? ORDER BY id LIMIT ?`
      )
      .pluck()
  }
}

function memberWrites(db: Database) {
  return {
    insertMember: db.prepare<[MemberRow]>(insertInto('members', MEMBER_COLUMNS)),
    deleteMember: db.prepare<[string]>('DELETE FROM members WHERE id = ?'),
    deleteMembers: db.prepare<[]>('DELETE FROM members'),
    setPolicyServer: db.prepare<[string, string]>('UPDATE members SET policy_server = ? WHERE id = ?')
  }
}

function certificateReads(db: Database) {
  return {
    certificatesOf: db.prepare<[string, number, number], CertificateRow>(
      `SELECT ${CERTIFICATE} FROM member_certificates
       WHERE member_id = ? AND revoked_at IS NULL AND not_after > ? ${NEWEST_FIRST}`
    ),
    lastCertificateOf: db.prepare<[string, number], CertificateRow>(
      `SELECT ${CERTIFICATE} FROM member_certificates
       WHERE member_id = ? AND revoked_at IS NULL ${NEWEST_FIRST} LIMIT 1`
    ),
    goodCertificates: db.prepare<[number, number, number], PlacedCertificate>(
      `SELECT ${CERTIFICATE}, rowid AS place FROM member_certificates
       WHERE revoked_at IS NULL AND not_after > ? AND rowid > ? ORDER BY rowid LIMIT ?`
    ),
    revokedCertificates: db.prepare<[number, number, number], PlacedCertificate>(
      `SELECT ${CERTIFICATE}, rowid AS place FROM member_certificates
       WHERE revoked_at IS NOT NULL AND not_after > ? AND rowid > ? ORDER BY rowid LIMIT ?`
    ),
    isRevoked: db
      .prepare<[Buffer], number>('SELECT revoked_at IS NOT NULL FROM member_certificates WHERE fingerprint = ?')
      .pluck(),
    nextEnd: db
      .prepare<[number], number | null>(
        'SELECT min(not_after) FROM member_certificates WHERE revoked_at IS NULL AND not_after > ?'
      )
      .pluck()
  }
}

function certificateWrites(db: Database) {
  return {
    insertCertificate: db.prepare<[CertificateRow]>(insertInto('member_certificates', CERTIFICATE_COLUMNS)),
    deleteCertificate: db.prepare<[Buffer]>('DELETE FROM member_certificates WHERE fingerprint = ?'),
    revokeCertificatesOf: db.prepare<[number, string]>(
      'UPDATE member_certificates SET revoked_at = ? WHERE member_id = ? AND revoked_at IS NULL'
    ),
    revokeAllCertificates: db.prepare<[number]>(
      'UPDATE member_certificates SET revoked_at = ? WHERE revoked_at IS NULL'
    )
  }
}

function tokens(db: Database) {
  return {
    token: db.prepare<[string], TokenRow>(`SELECT ${TOKEN} FROM join_tokens WHERE id = ?`),
    tokens: db.prepare<[], TokenRow>(`SELECT ${TOKEN} FROM join_tokens ORDER BY created_at, id`),
    tokenCount: db.prepare<[], number>('SELECT count(*) FROM join_tokens').pluck(),
    insertToken: db.prepare<[TokenRow]>(insertInto('join_tokens', TOKEN_COLUMNS)),
    useToken: db.prepare<[string, number]>(
      `UPDATE join_tokens SET uses_left = uses_left - 1
       WHERE id = ? AND uses_left > 0 AND revoked_at IS NULL AND expires_at > ?`
    ),
    revokeToken: db.prepare<[number, string]>(
      'UPDATE join_tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL'
    ),
    revokeTokensFor: db.prepare<[number, string]>(
      'UPDATE join_tokens SET revoked_at = ? WHERE member_id = ? AND revoked_at IS NULL'
    ),
    revokeAllTokens: db.prepare<[number]>('UPDATE join_tokens SET revoked_at = ? WHERE revoked_at IS NULL'),
    deleteRevokedTokens: db.prepare<[]>('DELETE FROM join_tokens WHERE revoked_at IS NOT NULL')
  }
}

function versions(db: Database) {
  return {
    version: db.prepare<[], number>('SELECT changes FROM membership').pluck(),
    countChange: db.prepare<[]>('UPDATE membership SET changes = changes + 1'),
    continueFrom: db.prepare<[number]>('UPDATE membership SET changes = max(changes, ?) + 1')
  }
}

/** A member's last certificate says what it is, also once it has ended. */
const NOT_LAST = `(revoked_at IS NOT NULL OR rowid <>
  (SELECT max(rowid) FROM member_certificates AS own WHERE own.member_id = member_certificates.member_id))`

function ends(db: Database) {
  return {
    endsOfTokens: endsOf(db, 'join_tokens', 'expires_at', 'TRUE'),
    endsOfCertificates: endsOf(db, 'member_certificates', 'not_after', NOT_LAST)
  }
}

function endsOf(db: Database, table: string, end: string, mayGo: string) {
  return {
    noteBack: db.prepare<[number]>(`UPDATE ${table} SET ended_ran = NULL WHERE ended_ran IS NOT NULL AND ${end} >= ?`),
    noteEnded: db.prepare<[number, number]>(`UPDATE ${table} SET ended_ran = ? WHERE ended_ran IS NULL AND ${end} < ?`),
    forget: db.prepare<[number]>(`DELETE FROM ${table} WHERE ended_ran IS NOT NULL AND ended_ran < ? AND ${mayGo}`)
  }
}
