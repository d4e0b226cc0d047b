import type { Member, MemberCertificate } from '../../membership/members.js'
import type {
  CertificateCursor,
  CertificatePage,
  Changed,
  JoinTokenRecord,
  MemberRepository,
  MembersWithCertificates
} from '../../membership/root/member-repository.js'
import type { RunningTimeReading, RunningTimeReadings } from '../../process/running-time.js'
import type { Database } from '../sqlite-engine/database.js'
import { type Commit, groupCommitOf } from '../sqlite-engine/group-commit.js'
import { createRunningTimeReadings } from './running-time-readings.js'
import { toMember, toMemberRow, toToken, toTokenRow } from './statements/member-rows.js'
import { type MemberStatements, memberStatements, type PlacedCertificate } from './statements/member-statements.js'

/** @param db the root's state database; closed by the caller */
export function createMemberRepository(db: Database): MemberRepository {
  return new SqliteMembers(memberStatements(db), groupCommitOf(db), createRunningTimeReadings(db, 'members'))
}

class SqliteMembers implements MemberRepository {
  constructor(
    private readonly sql: MemberStatements,
    private readonly commit: Commit,
    private readonly time: RunningTimeReadings
  ) {}

  async version(): Promise<number> {
    return this.sql.version.get() ?? 0
  }

  async member(id: string): Promise<Member | undefined> {
    const row = this.sql.member.get(id)
    return row && toMember(row)
  }

  async relayByHostname(hostname: string, exceptId: string): Promise<Member | undefined> {
    const row = this.sql.relayByHostname.get(hostname, exceptId)
    return row && toMember(row)
  }

  async members(afterId: string, limit: number): Promise<Member[]> {
    return this.sql.members.all(afterId, limit).map(toMember)
  }

  async memberCount(): Promise<number> {
    return this.sql.memberCount.get() ?? 0
  }

  async countUnder(id: string): Promise<number> {
    return this.sql.countUnder.get(id) ?? 0
  }

  async relaysUnder(id: string, afterId: string, limit: number): Promise<string[]> {
    return this.sql.relaysUnder.all(id, afterId, limit)
  }

  async certificatesOf(memberId: string, nowMs: number): Promise<MemberCertificate[]> {
    return this.sql.certificatesOf.all(memberId, nowMs, nowMs)
  }

  async lastCertificateOf(memberId: string, nowMs: number): Promise<MemberCertificate | undefined> {
    return this.sql.lastCertificateOf.get(memberId, nowMs)
  }

  async certificates(nowMs: number, after: CertificateCursor | undefined, limit: number): Promise<CertificatePage> {
    return toPage(this.sql.goodCertificates.all(nowMs, Number(after ?? 0), limit), limit)
  }

  async revokedCertificates(
    afterMs: number,
    after: CertificateCursor | undefined,
    limit: number
  ): Promise<CertificatePage> {
    return toPage(this.sql.revokedCertificates.all(afterMs, Number(after ?? 0), limit), limit)
  }

  async certificateState(fingerprint: Buffer): Promise<'good' | 'revoked' | undefined> {
    const isRevoked = this.sql.isRevoked.get(fingerprint)
    return isRevoked === undefined ? undefined : isRevoked === 1 ? 'revoked' : 'good'
  }

  async nextEnd(afterMs: number): Promise<number | undefined> {
    return this.sql.nextEnd.get(afterMs) ?? undefined
  }

  addMembers(first: MembersWithCertificates): Promise<void> {
    return this.commit(() => {
      this.sql.countChange.run()
      this.#insert(first)
    })
  }

  replaceMembers(former: MembersWithCertificates, version: number, nowMs: number): Promise<void> {
    return this.commit(() => {
      this.sql.revokeAllCertificates.run(nowMs)
      this.sql.revokeAllTokens.run(nowMs)
      this.sql.deleteMembers.run()
      for (const member of former.members) this.sql.insertMember.run(toMemberRow(member))
      for (const certificate of former.certificates) {
        this.sql.deleteCertificate.run(certificate.fingerprint)
        this.sql.insertCertificate.run(certificate)
      }
      this.sql.continueFrom.run(version)
    })
  }

  #insert({ members, certificates }: MembersWithCertificates): void {
    for (const member of members) this.sql.insertMember.run(toMemberRow(member))
    for (const certificate of certificates) this.sql.insertCertificate.run(certificate)
  }

  async join(seen: number, member: Member, certificate: MemberCertificate): Promise<'joined' | 'unusable' | Changed> {
    return this.#change<'joined' | 'unusable'>(seen, () => {
      if (this.sql.useToken.run(member.tokenId ?? '', member.joinedAtMs).changes === 0) return 'unusable'
      this.sql.countChange.run()
      this.sql.revokeCertificatesOf.run(member.joinedAtMs, member.id)
      this.sql.deleteMember.run(member.id)
      this.#insert({ members: [member], certificates: [certificate] })
      return 'joined'
    })
  }

  async addCertificate(seen: number, certificate: MemberCertificate): Promise<'added' | Changed> {
    return this.#change<'added'>(seen, () => {
      this.sql.countChange.run()
      this.sql.insertCertificate.run(certificate)
      return 'added'
    })
  }

  async setPolicyServer(seen: number, id: string, policyServer: string): Promise<'moved' | Changed> {
    return this.#change<'moved'>(seen, () => {
      this.sql.countChange.run()
      this.sql.setPolicyServer.run(policyServer, id)
      return 'moved'
    })
  }

  async remove(seen: number, id: string, nowMs: number): Promise<'removed' | 'unknown' | Changed> {
    return this.#change<'removed' | 'unknown'>(seen, () => {
      if (this.sql.member.get(id) === undefined) return 'unknown'
      this.sql.countChange.run()
      this.sql.revokeCertificatesOf.run(nowMs, id)
      this.sql.revokeTokensFor.run(nowMs, id)
      this.sql.deleteMember.run(id)
      return 'removed'
    })
  }

  /** Makes a change, unless another one came after `seen`. */
  async #change<Outcome extends string>(seen: number, work: () => Outcome): Promise<Outcome | Changed> {
    let outcome: Outcome | Changed = 'changed'
    await this.commit(() => {
      if ((this.sql.version.get() ?? 0) === seen) outcome = work()
    })
    return outcome
  }

  async token(id: string): Promise<JoinTokenRecord | undefined> {
    const row = this.sql.token.get(id)
    return row && toToken(row)
  }

  async tokens(): Promise<JoinTokenRecord[]> {
    return this.sql.tokens.all().map(toToken)
  }

  async addToken(token: JoinTokenRecord, maxTokens: number): Promise<'added' | 'full'> {
    let isAdded = false
    await this.commit(() => {
      if ((this.sql.tokenCount.get() ?? 0) >= maxTokens) return
      this.sql.insertToken.run(toTokenRow(token))
      isAdded = true
    })
    return isAdded ? 'added' : 'full'
  }

  async revokeToken(id: string, nowMs: number): Promise<boolean> {
    let isRevoked = false
    await this.commit(() => {
      isRevoked = this.sql.revokeToken.run(nowMs, id).changes > 0
    })
    return isRevoked
  }

  forgetEnded(nowMs: number, ranMs: number, rememberedMs: number): Promise<void> {
    return this.commit(() => {
      for (const { noteBack, noteEnded, forget } of [this.sql.endsOfTokens, this.sql.endsOfCertificates]) {
        noteBack.run(nowMs)
        noteEnded.run(ranMs, nowMs)
        forget.run(ranMs - rememberedMs)
      }
    })
  }

  forgetRevokedTokens(): Promise<void> {
    return this.commit(() => void this.sql.deleteRevokedTokens.run())
  }

  runningTime(): Promise<RunningTimeReading | undefined> {
    return this.time.runningTime()
  }

  noteRunningTime(reading: RunningTimeReading): Promise<void> {
    return this.time.noteRunningTime(reading)
  }
}

function toPage(rows: readonly PlacedCertificate[], limit: number): CertificatePage {
  return {
    certificates: rows.map(({ place: _, ...row }) => row),
    next: rows.length < limit ? undefined : rows.at(-1)?.place
  }
}
