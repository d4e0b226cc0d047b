import type { Member, MemberKind } from '../../../membership/members.js'
import type { JoinTokenRecord } from '../../../membership/root/member-repository.js'
import type { TableColumns } from './columns.js'

/** A row of `members`. Times are ms since 1970. */
export interface MemberRow {
  readonly id: string
  readonly kind: MemberKind
  readonly policyServer: string
  readonly hostname: string
  readonly port: number | null
  readonly keyHash: string
  readonly tlsKeyHash: Buffer | null
  readonly tokenId: string | null
  readonly joinedAtMs: number
}

/** A row of `member_certificates`, apart from when it was revoked. */
export interface CertificateRow {
  readonly fingerprint: Buffer
  readonly memberId: string
  readonly serial: string
  readonly der: Buffer
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** A row of `join_tokens`. */
export interface TokenRow {
  readonly id: string
  readonly secretHash: Buffer
  readonly kind: MemberKind
  readonly policyServer: string
  readonly memberId: string | null
  readonly usesLeft: number
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly revokedAtMs: number | null
}

export const MEMBER_COLUMNS: TableColumns<MemberRow> = {
  id: 'id',
  kind: 'kind',
  policyServer: 'policy_server',
  hostname: 'hostname',
  port: 'port',
  keyHash: 'key_hash',
  tlsKeyHash: 'tls_key_hash',
  tokenId: 'token_id',
  joinedAtMs: 'joined_at'
}

export const CERTIFICATE_COLUMNS: TableColumns<CertificateRow> = {
  fingerprint: 'fingerprint',
  memberId: 'member_id',
  serial: 'serial',
  der: 'der',
  notBeforeMs: 'not_before',
  notAfterMs: 'not_after'
}

export const TOKEN_COLUMNS: TableColumns<TokenRow> = {
  id: 'id',
  secretHash: 'secret_hash',
  kind: 'kind',
  policyServer: 'policy_server',
  memberId: 'member_id',
  usesLeft: 'uses_left',
  createdAtMs: 'created_at',
  expiresAtMs: 'expires_at',
  revokedAtMs: 'revoked_at'
}

export function toMember(row: MemberRow): Member {
  const { port, tlsKeyHash, tokenId } = row
  return {
    ...row,
    port: port ?? undefined,
    tlsKeyHash: tlsKeyHash ?? undefined,
    tokenId: tokenId ?? undefined
  }
}

export function toMemberRow(member: Member): MemberRow {
  const { port = null, tlsKeyHash = null, tokenId = null } = member
  return { ...member, port, tlsKeyHash, tokenId }
}

export function toToken(row: TokenRow): JoinTokenRecord {
  return { ...row, memberId: row.memberId ?? undefined, revokedAtMs: row.revokedAtMs ?? undefined }
}

export function toTokenRow(token: JoinTokenRecord): TokenRow {
  return { ...token, memberId: token.memberId ?? null, revokedAtMs: token.revokedAtMs ?? null }
}
