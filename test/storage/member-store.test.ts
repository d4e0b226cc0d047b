import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDatabase } from '../../src/storage/database.js'
import { createMemberStore, type MemberRow } from '../../src/storage/member-store.js'
import { Sqlite } from '../../src/storage/sqlite.js'
import { canonicalHost } from '../../src/values/network/host-name.js'
import { temporaryFolder } from '../support/neighbours.js'

const MEMBER: MemberRow = {
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
const TOKEN = {
  id: 'token-1',
  secretHash: randomBytes(32),
  kind: 'relay',
  policyServer: 'root',
  memberId: null,
  usesLeft: 2,
  createdAtMs: 0,
  expiresAtMs: 100,
  revokedAtMs: null
} as const

function certificate(memberId: string, serial: string, notBeforeMs = 0, notAfterMs = 1_000) {
  return { fingerprint: randomBytes(32), memberId, serial, der: Buffer.from(serial), notBeforeMs, notAfterMs }
}

test('members, certificates and tokens are there again after the database was opened anew', async t => {
  const file = join(await temporaryFolder(t), 'state.db')
  const first = openDatabase(file, 'state')
  const store = createMemberStore(first)
  store.addToken(TOKEN)
  assert.equal(store.join(MEMBER, certificate('relay-1', 'AA')), true)
  first.close()
  const second = openDatabase(file, 'state')
  t.after(() => second.close())
  const again = createMemberStore(second)
  assert.deepEqual(again.member('relay-1'), MEMBER)
  assert.deepEqual(again.token('token-1'), { ...TOKEN, usesLeft: 1 })
  assert.equal(again.relayByHostname('RELAY-1.EXAMPLE', '')?.id, 'relay-1')
  assert.equal(again.certificatesOf('relay-1', 0)[0]?.serial, 'AA')
})

test('each change of members or certificates counts, a token that is made does not', async t => {
  const db = openDatabase(join(await temporaryFolder(t), 'state.db'), 'state')
  t.after(() => db.close())
  const store = createMemberStore(db)
  const counts: number[] = []
  const note = () => counts.push(store.changes())
  store.addToken(TOKEN)
  note()
  store.join(MEMBER, certificate('relay-1', 'AA'))
  note()
  store.addCertificate(certificate('relay-1', 'BB'))
  note()
  store.setPolicyServer('relay-1', 'root')
  note()
  store.remove('relay-1', 20)
  note()
  store.addMembers([MEMBER], [])
  note()
  assert.deepEqual(counts, [0, 1, 2, 3, 4, 5])
  const good = certificate('relay-2', 'CC')
  store.replaceMembers({ members: [{ ...MEMBER, id: 'relay-2' }], certificates: [good] }, 40, 30)
  assert.equal(store.changes(), 41)
  assert.deepEqual([store.member('relay-1'), store.certificatesOf('relay-2', 30)], [undefined, [good]])
  assert.equal(store.token('token-1')?.revokedAtMs, 30)
})

test('certificates are listed while they are good: not ended, not revoked; in pages', async t => {
  const db = openDatabase(join(await temporaryFolder(t), 'state.db'), 'state')
  t.after(() => db.close())
  const store = createMemberStore(db)
  store.addToken(TOKEN)
  const old = certificate('relay-1', 'AA', 0, 50)
  assert.equal(store.join(MEMBER, old), true)
  store.addCertificate(certificate('relay-1', 'BB', 20, 200))
  const serials = (nowMs: number) => store.certificatesOf('relay-1', nowMs).map(({ serial }) => serial)
  assert.deepEqual(serials(20), ['BB', 'AA'], 'the newest first')
  assert.deepEqual(serials(10), ['AA', 'BB'], 'and last what is not valid yet')
  assert.equal(store.nextEnd(10), 50)
  assert.deepEqual(serials(50), ['BB'])
  const [one] = store.certificates(10, 0, 1)
  assert.deepEqual(
    store.certificates(10, one?.place ?? 0, 5).map(({ serial }) => serial),
    ['BB']
  )

  assert.equal(store.remove('relay-1', 20), true)
  assert.equal(store.remove('relay-1', 20), false)
  assert.equal(store.certificateState(old.fingerprint), 'revoked')
  assert.equal(store.join({ ...MEMBER, joinedAtMs: 30 }, certificate('relay-1', 'CC')), true)
  assert.deepEqual(
    store.certificates(10, 0, 5).map(({ serial }) => serial),
    ['CC']
  )
  assert.equal(store.join({ ...MEMBER, id: 'relay-2' }, certificate('relay-2', 'DD')), false, 'two uses were made')
  assert.equal(store.member('relay-2'), undefined)
})

test('members of an older database have their host names in the form in which names are compared now', async t => {
  const names = readdirSync('migrations/state').filter(name => name.endsWith('.sql'))
  const spellings: readonly [id: string, old: string, now: string][] = [
    ['dot', 'Relay.Example.', 'relay.example'],
    ['usual', 'relay-2.example', 'relay-2.example'],
    ['mapped', '::ffff:192.0.2.1', '192.0.2.1'],
    ['long', '2001:DB8:0:0::1', '2001:db8::1'],
    ['port', 'relay-3.example:8443', 'relay-3.example'],
    ['Short', '127.1', 'short.invalid'],
    ['number', 'relay.1', 'number.invalid'],
    ['-x', '0x7f.1', '2d78.invalid']
  ]
  for (const first of ['0012', '0013']) {
    const file = join(await temporaryFolder(t), 'state.db')
    const before = names.sort().filter(name => name < first)
    const old = new Sqlite(file)
    old.function('canonical_host', (hostname, _id) => hostname) // 0012 had fewer rules
    for (const name of before) old.exec(readFileSync(join('migrations/state', name), 'utf8'))
    old.pragma(`user_version = ${before.length}`)
    const insert = old.prepare(`INSERT INTO members (id, kind, policy_server, hostname, key_hash, joined_at)
    VALUES (?, 'relay', 'root', ?, '', 0)`)
    for (const [id, hostname] of spellings) insert.run(id, hostname)
    old.close()
    const db = openDatabase(file, 'state')
    t.after(() => db.close())
    const store = createMemberStore(db)
    for (const [id, , hostname] of spellings) assert.equal(store.relayByHostname(hostname, '')?.id, id, hostname)
    for (const member of store.members('', 10)) assert.equal(canonicalHost(member.hostname), member.hostname)
  }
})
