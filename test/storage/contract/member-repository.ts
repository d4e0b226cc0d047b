import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import type { Member, MemberCertificate } from '../../../src/membership/members.js'
import type {
  CertificateCursor,
  JoinTokenRecord,
  MemberRepository
} from '../../../src/membership/root/member-repository.js'

/** An implementation to check, on a place of its own. */
export interface MemberRepositoryFactory {
  /** The repository of a process. Opened again, without an end of the former: that process crashed. */
  open(): MemberRepository
  /** The repository of one more process, which lives beside the last one that was opened. */
  openBeside(): MemberRepository
}

const MEMBER: Member = {
  id: 'relay-1',
  kind: 'relay',
  policyServer: 'root',
  hostname: 'relay-1.example',
  port: 443,
  keyHash: '',
  tlsKeyHash: randomBytes(32),
  tokenId: 'token-1',
  joinedAtMs: 10
}

const TOKEN: JoinTokenRecord = {
  id: 'token-1',
  secretHash: randomBytes(32),
  kind: 'relay',
  policyServer: 'root',
  memberId: undefined,
  usesLeft: 2,
  createdAtMs: 0,
  expiresAtMs: 100,
  revokedAtMs: undefined
}

function certificateOf(memberId: string, serial: string, notBeforeMs = 0, notAfterMs = 1_000): MemberCertificate {
  return { fingerprint: randomBytes(32), memberId, serial, der: Buffer.from(serial), notBeforeMs, notAfterMs }
}

function serials(certificates: readonly MemberCertificate[]): string[] {
  return certificates.map(({ serial }) => serial)
}

/** Joins with the version as it is. */
async function join(members: MemberRepository, member: Member, certificate = certificateOf(member.id, 'AA')) {
  return members.join(await members.version(), member, certificate)
}

/** Everything that a {@link MemberRepository} promises, as tests of the implementation that `create` makes. */
export function testMemberRepository(name: string, create: (t: TestContext) => MemberRepositoryFactory): void {
  const check = (
    sentence: string,
    body: (members: MemberRepository, factory: MemberRepositoryFactory) => Promise<void>
  ) =>
    test(`${name}: ${sentence}`, async t => {
      const factory = create(t)
      await body(factory.open(), factory)
    })

  check('members, certificates and tokens are there for the next process', async (members, factory) => {
    await members.addToken(TOKEN, 10)
    const bare = { port: undefined, tlsKeyHash: undefined, tokenId: undefined }
    const old = { ...MEMBER, ...bare, id: 'old', kind: 'node', hostname: 'old.example' } as const
    await members.addMembers({ members: [old], certificates: [] })
    const certificate = certificateOf('relay-1', 'AA')
    assert.equal(await join(members, MEMBER, certificate), 'joined')
    const next = factory.open()
    assert.deepEqual([await next.member('relay-1'), await next.member('old')], [MEMBER, old])
    assert.equal(await next.member('stranger'), undefined)
    assert.deepEqual(await next.token('token-1'), { ...TOKEN, usesLeft: 1 })
    assert.deepEqual(await next.certificatesOf('relay-1', 0), [certificate])
    assert.deepEqual(await next.lastCertificateOf('relay-1', 5_000), certificate, 'ended, and still the last')
    assert.equal(await next.memberCount(), 2)
  })

  check('the version rises with members and certificates, and not with tokens', async members => {
    const seen: number[] = []
    const note = async () => seen.push(await members.version())
    await members.addToken(TOKEN, 10)
    await note()
    await join(members, MEMBER)
    await note()
    await members.addCertificate(await members.version(), certificateOf('relay-1', 'BB'))
    await note()
    await members.setPolicyServer(await members.version(), 'relay-1', 'root')
    await note()
    await members.remove(await members.version(), 'relay-1', 20)
    await note()
    await members.addMembers({ members: [MEMBER], certificates: [] })
    await note()
    await members.revokeToken('token-1', 30)
    await note()
    assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 5])
  })

  check(
    'a change that was decided by what is no longer so is not made, in whatever process',
    async (members, factory) => {
      await members.addToken({ ...TOKEN, usesLeft: 9 }, 10)
      const other = factory.openBeside()
      const seen = await members.version()
      const outcomes = await Promise.all([
        members.join(seen, MEMBER, certificateOf('relay-1', 'AA')),
        members.join(seen, { ...MEMBER, id: 'relay-2' }, certificateOf('relay-2', 'BB')),
        other.join(seen, { ...MEMBER, id: 'relay-3' }, certificateOf('relay-3', 'CC'))
      ])
      assert.deepEqual([...outcomes].sort(), ['changed', 'changed', 'joined'])
      assert.equal((await members.token('token-1'))?.usesLeft, 8)
      assert.equal(await members.addCertificate(seen, certificateOf('relay-1', 'DD')), 'changed')
      assert.equal(await members.setPolicyServer(seen, 'relay-1', 'relay-9'), 'changed')
      assert.equal(await other.remove(seen, 'relay-1', 20), 'changed')
      assert.equal(await members.memberCount(), 1)
      assert.equal(await members.version(), seen + 1)
    }
  )

  check('a token is used as often as it may be, and not once it has expired or was revoked', async members => {
    await members.addToken({ ...TOKEN, usesLeft: 1 }, 10)
    const late = { ...MEMBER, joinedAtMs: 100 }
    assert.equal(await join(members, late), 'unusable', 'it has expired then')
    assert.equal(await join(members, { ...MEMBER, tokenId: 'stranger' }), 'unusable')
    assert.equal(await join(members, MEMBER), 'joined')
    assert.equal(await join(members, { ...MEMBER, id: 'relay-2' }, certificateOf('relay-2', 'BB')), 'unusable')
    await members.addToken({ ...TOKEN, id: 'token-2' }, 10)
    assert.equal(await members.revokeToken('token-2', 5), true)
    assert.equal(await members.revokeToken('token-2', 6), false)
    assert.equal((await members.token('token-2'))?.revokedAtMs, 5)
    const second = { ...MEMBER, id: 'relay-2', tokenId: 'token-2' }
    assert.equal(await join(members, second, certificateOf('relay-2', 'BB')), 'unusable')
    assert.equal(await members.member('relay-2'), undefined)
    assert.deepEqual(await members.certificatesOf('relay-2', 0), [])
  })

  check('tokens: so many and no more, the oldest first', async members => {
    const add = (id: string, createdAtMs: number) => members.addToken({ ...TOKEN, id, createdAtMs }, 2)
    const added = await Promise.all([add('b', 2), add('a', 1), add('c', 3)])
    assert.deepEqual(added, ['added', 'added', 'full'])
    assert.deepEqual(
      (await members.tokens()).map(({ id }) => id),
      ['a', 'b']
    )
  })

  check('a member that joins again has its new certificate alone', async members => {
    await members.addToken(TOKEN, 10)
    const former = certificateOf('relay-1', 'AA')
    await join(members, MEMBER, former)
    await join(members, { ...MEMBER, hostname: 'other.example', joinedAtMs: 20 }, certificateOf('relay-1', 'BB'))
    assert.deepEqual(serials(await members.certificatesOf('relay-1', 0)), ['BB'])
    assert.equal(await members.certificateState(former.fingerprint), 'revoked')
    assert.equal((await members.member('relay-1'))?.hostname, 'other.example')
    assert.equal(await members.memberCount(), 1)
  })

  check('certificates are listed while they are good: not ended, not revoked', async members => {
    await members.addToken({ ...TOKEN, usesLeft: 9 }, 10)
    const old = certificateOf('relay-1', 'AA', 0, 50)
    await join(members, MEMBER, old)
    await members.addCertificate(await members.version(), certificateOf('relay-1', 'BB', 20, 200))
    assert.deepEqual(serials(await members.certificatesOf('relay-1', 20)), ['BB', 'AA'], 'the newest first')
    assert.deepEqual(serials(await members.certificatesOf('relay-1', 10)), ['AA', 'BB'], 'last what is not valid yet')
    assert.equal((await members.lastCertificateOf('relay-1', 10))?.serial, 'AA')
    assert.equal(await members.nextEnd(10), 50)
    assert.equal(await members.nextEnd(200), undefined)
    assert.deepEqual(serials(await members.certificatesOf('relay-1', 50)), ['BB'])
    assert.equal(await members.certificateState(old.fingerprint), 'good')
    assert.equal(await members.certificateState(randomBytes(32)), undefined)
    assert.equal(await members.remove(await members.version(), 'relay-1', 30), 'removed')
    assert.equal(await members.remove(await members.version(), 'relay-1', 30), 'unknown')
    assert.deepEqual(await members.certificatesOf('relay-1', 0), [])
    assert.equal(await members.certificateState(old.fingerprint), 'revoked')
    const { certificates } = await members.revokedCertificates(60, undefined, 10)
    assert.deepEqual(serials(certificates), ['BB'], 'of those that end later')
  })

  check('removing a member revokes the tokens for its id with it, and no others', async members => {
    const tokens = { own: 'relay-1', spare: 'relay-1', other: 'relay-2', any: undefined }
    for (const [id, memberId] of Object.entries(tokens)) await members.addToken({ ...TOKEN, id, memberId }, 10)
    await join(members, { ...MEMBER, tokenId: 'own' }, certificateOf('relay-1', 'AA', 0, 50))
    assert.equal(await members.remove((await members.version()) - 1, 'relay-1', 30), 'changed')
    assert.equal((await members.token('spare'))?.revokedAtMs, undefined)
    await members.remove(await members.version(), 'relay-1', 30)
    const revoked = (await members.tokens()).filter(token => token.revokedAtMs === 30).map(({ id }) => id)
    assert.deepEqual(revoked.sort(), ['own', 'spare'])
  })

  check('pages give everything once', async members => {
    const ids = Array.from({ length: 7 }, (_, index) => `relay-${index}`)
    const all = ids.map(id => ({ ...MEMBER, id, policyServer: 'relay-0' }))
    await members.addMembers({ members: all, certificates: ids.map(id => certificateOf(id, id)) })
    const found: string[] = []
    for (let last = ''; ; ) {
      const page = await members.members(last, 3)
      found.push(...page.map(({ id }) => id))
      last = page.at(-1)?.id ?? ''
      if (page.length < 3) break
    }
    assert.deepEqual(found, ids)
    const listed: string[] = []
    let cursor: CertificateCursor | undefined
    do {
      const page = await members.certificates(0, cursor, 3)
      listed.push(...serials(page.certificates))
      cursor = page.next
    } while (cursor !== undefined)
    assert.deepEqual(listed.sort(), ids)
    assert.equal(await members.countUnder('relay-0'), 6, 'not itself')
    assert.equal(await members.countUnder('relay-1'), 0)
    assert.deepEqual(await members.relaysUnder('relay-0', 'relay-3', 2), ['relay-4', 'relay-5'])
  })

  check('relays are found by their host names, nodes are not', async members => {
    const node = { ...MEMBER, id: 'node-1', kind: 'node', hostname: 'node.example' } as const
    await members.addMembers({ members: [MEMBER, node], certificates: [] })
    assert.equal((await members.relayByHostname('RELAY-1.Example', ''))?.id, 'relay-1')
    assert.equal(await members.relayByHostname('relay-1.example', 'relay-1'), undefined)
    assert.equal(await members.relayByHostname('node.example', ''), undefined)
  })

  check('members of a list take the place of all others; the version goes on from the list', async members => {
    await members.addToken(TOKEN, 10)
    const kept = certificateOf('relay-2', 'KK')
    await members.addMembers({ members: [MEMBER], certificates: [certificateOf('relay-1', 'AA'), kept] })
    const good = certificateOf('relay-2', 'CC')
    await members.replaceMembers({ members: [{ ...MEMBER, id: 'relay-2' }], certificates: [good, kept] }, 40, 30)
    assert.equal(await members.version(), 41)
    assert.equal(await members.member('relay-1'), undefined)
    assert.deepEqual(await members.certificatesOf('relay-1', 0), [])
    assert.deepEqual(serials(await members.certificatesOf('relay-2', 30)).sort(), ['CC', 'KK'])
    assert.equal((await members.token('token-1'))?.revokedAtMs, 30)
  })

  check('what ended long ago is forgotten, but for the last certificate of a member', async members => {
    await members.addToken(TOKEN, 10)
    await members.addToken({ ...TOKEN, id: 'later', expiresAtMs: 300 }, 10)
    const first = certificateOf('relay-1', 'AA', 0, 50)
    const last = certificateOf('relay-1', 'BB', 20, 60)
    await members.addMembers({ members: [MEMBER], certificates: [first, last] })
    await members.forgetEnded(200, 1_000, 100)
    assert.equal((await members.tokens()).length, 2, 'not as soon as they are seen to have ended')
    await members.forgetEnded(200, 1_100, 100)
    assert.equal((await members.tokens()).length, 2)
    await members.forgetEnded(200, 1_101, 100)
    assert.deepEqual(
      (await members.tokens()).map(({ id }) => id),
      ['later']
    )
    assert.equal(await members.certificateState(first.fingerprint), undefined)
    assert.equal(await members.certificateState(last.fingerprint), 'good')
  })

  check('revoked tokens are forgotten, and no others', async members => {
    for (const id of ['token-1', 'revoked']) await members.addToken({ ...TOKEN, id }, 10)
    await members.revokeToken('revoked', 5)
    await members.forgetRevokedTokens()
    assert.deepEqual(
      (await members.tokens()).map(({ id }) => id),
      ['token-1']
    )
  })

  check('the running time is there for the next process', async (members, factory) => {
    assert.equal(await members.runningTime(), undefined)
    await members.noteRunningTime({ ranMs: 5, boot: 'a', uptimeMs: 1 })
    await members.noteRunningTime({ ranMs: 9, boot: 'b', uptimeMs: 0 })
    assert.deepEqual(await factory.open().runningTime(), { ranMs: 9, boot: 'b', uptimeMs: 0 })
  })

  check('what ended by a clock that was ahead has not, once it is right', async members => {
    await members.addToken({ ...TOKEN, expiresAtMs: 50 }, 10)
    await members.forgetEnded(1_000, 10, 100)
    await members.forgetEnded(40, 60, 100)
    await members.forgetEnded(60, 111, 100)
    assert.equal((await members.tokens()).length, 1)
    await members.forgetEnded(60, 212, 100)
    assert.equal((await members.tokens()).length, 0)
  })

  check('what was revoked is remembered until it has ended', async members => {
    const certificate = certificateOf('relay-1', 'AA', 0, 50)
    await members.addMembers({ members: [MEMBER], certificates: [certificate] })
    await members.remove(await members.version(), 'relay-1', 30)
    await members.forgetEnded(50, 1, 1)
    await members.forgetEnded(50, 3, 1)
    assert.equal(await members.certificateState(certificate.fingerprint), 'revoked')
    await members.forgetEnded(51, 4, 1)
    await members.forgetEnded(51, 6, 1)
    assert.equal(await members.certificateState(certificate.fingerprint), undefined)
  })
}
