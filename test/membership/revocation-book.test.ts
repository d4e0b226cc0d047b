import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { RevocationBook } from '../../src/membership/revocations/revocation-book.js'
import { formatRevocationList } from '../../src/membership/revocations/revocation-list.js'
import { makeAuthority, openAuthority } from '../../src/membership/root/certificate-authority.js'
import { Publication } from '../../src/membership/root/publication.js'
import { RevocationPublication } from '../../src/membership/root/revocation-publication.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { eventually } from '../support/eventually.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'
import {
  DAY_MS,
  joinRequest,
  LIFETIME_MS,
  type Machine,
  type Members,
  makeMachine,
  openMembers,
  startMembers
} from '../support/parts/members.js'

const FINGERPRINT = 'ab'.repeat(32)
const entries = [{ id: 'rel-2', fingerprint: FINGERPRINT, untilMs: 9_000 }]

async function startBook(t: TestContext) {
  const authority = openAuthority(await makeAuthority('Test CA', Date.now()))
  const file = join(await temporaryFolder(t), 'revocations')
  const open = () => new RevocationBook({ file, ca: async () => authority.certificate, logger: silentLogger })
  const sign = (text: Buffer) => authority.sign(text)
  return { book: open(), open, file, sign, authority }
}

test('the list with the highest number stays, through a restart as well', async t => {
  const { book, open, sign } = await startBook(t)
  const newer = formatRevocationList({ number: 5, entries }, sign)
  assert.deepEqual(
    await Promise.all(
      [newer, newer, formatRevocationList({ number: 4, entries: [] }, sign)].map(text => book.take(text))
    ),
    [true, false, false]
  )
  const again = open()
  await again.load()
  assert.equal(again.text, newer)
  assert.match(again.whyRevoked(FINGERPRINT) ?? '', /^the certificate of rel-2 .* was revoked, as rel-2 joined again/)
  assert.equal(await again.take(formatRevocationList({ number: 6, entries: [] }, sign)), true)
  assert.equal(again.whyRevoked(FINGERPRINT), undefined)
})

test('what is forged or damaged changes nothing, whatever its number', async t => {
  const { book, open, file, sign } = await startBook(t)
  await book.take(formatRevocationList({ number: 5, entries }, sign))
  const forger = openAuthority(await makeAuthority('Test CA', Date.now()))
  const forged = formatRevocationList({ number: 6, entries: [] }, text => forger.sign(text))
  await assert.rejects(book.take(forged), /not signed by the CA/)
  assert.ok(book.whyRevoked(FINGERPRINT))
  await writeFile(file, forged)
  const again = open()
  await again.load()
  assert.equal(again.list.number, 0)
})

test('a fault of the program is not taken for a damaged list', async t => {
  const { book, file, sign } = await startBook(t)
  await book.take(formatRevocationList({ number: 5, entries }, sign))
  const ca = async () => {
    throw new ReferenceError("Cannot access 'x' before initialization")
  }
  await assert.rejects(new RevocationBook({ file, ca, logger: silentLogger }).load(), ReferenceError)
})

test('a list that cannot be kept is in force all the same; it is written until it is kept, which the log says once', async t => {
  const { file, sign, authority } = await startBook(t)
  const lines: string[] = []
  const note = (_details: unknown, message: string) => void lines.push(message)
  const logger = { ...silentLogger, error: note, info: note }
  const writeAgain = { firstMs: 1, maxMs: 1 }
  const book = new RevocationBook({ file, ca: async () => authority.certificate, logger, writeAgain })
  t.after(() => book.stop())
  const told = () => lines.filter(line => !line.includes('newer list'))
  await mkdir(file)
  const text = formatRevocationList({ number: 5, entries }, sign)
  await assert.rejects(book.take(text), /EISDIR/)
  assert.ok(book.whyRevoked(FINGERPRINT))
  await assert.rejects(book.take(text), /EISDIR/, 'whoever gives it again hears of it')
  const newest = formatRevocationList({ number: 6, entries }, sign)
  await assert.rejects(book.take(newest), /EISDIR/)
  assert.equal(book.isKept, false)
  await rm(file, { recursive: true })
  await eventually('the newest list on disk', () => book.isKept)
  assert.equal(await readFile(file, 'utf8'), newest)
  assert.deepEqual(told(), [
    'cannot write the list of revoked certificates; it is in force; trying again',
    'the list of revoked certificates is written'
  ])
  assert.equal(await book.take(newest), false)
})

test('a book that stops writes nothing any more', async t => {
  const { file, sign, authority } = await startBook(t)
  const ca = async () => authority.certificate
  const book = new RevocationBook({ file, ca, logger: silentLogger, writeAgain: { firstMs: 60_000, maxMs: 60_000 } })
  await mkdir(file)
  await assert.rejects(book.take(formatRevocationList({ number: 5, entries }, sign)), /EISDIR/)
  await book.stop()
  assert.equal(book.isKept, false)
})

test('what stands by a certificate is ended once, when that certificate is revoked', async t => {
  const { book, sign } = await startBook(t)
  const ended: string[] = []
  book.watch(FINGERPRINT, why => ended.push(why))
  book.watch(FINGERPRINT, () => ended.push('gone'))()
  book.watch('cd'.repeat(32), () => ended.push('other'))
  await book.take(formatRevocationList({ number: 1, entries: [] }, sign))
  assert.deepEqual(ended, [])
  await book.take(formatRevocationList({ number: 2, entries }, sign))
  await book.take(formatRevocationList({ number: 3, entries }, sign))
  assert.deepEqual(ended, [book.whyRevoked(FINGERPRINT)])
})

async function startRoot(t: TestContext) {
  const root = await startMembers(t)
  const folder = await temporaryFolder(t)
  const file = join(folder, 'tree', 'revocations')
  await mkdir(join(folder, 'tree'))
  const { repository, authority, clock } = root
  const book = new RevocationBook({ file, ca: async () => authority.certificate, logger: silentLogger })
  const now = () => clock.nowMs
  const list = new RevocationPublication({ repository, authority, book, logger: silentLogger, now })
  const revoked = async () => {
    await list.publish()
    return book.list.entries.map(({ fingerprint }) => fingerprint)
  }
  return { ...root, folder, book, list, revoked }
}

test('where the folder of the tree is gone it is made again, and the list with it', async t => {
  const root = await startRoot(t)
  await joinAs(root, 'rel-2', makeMachine())
  await joinAs(root, 'rel-2', makeMachine(), { memberId: 'rel-2' })
  const tree = join(root.folder, 'tree')
  await rm(tree, { recursive: true })
  const publication = new Publication({
    repository: root.repository,
    nodesListFile: join(tree, 'nodes.json'),
    nodesCertsFile: join(tree, 'certificates.pem'),
    reload: async () => undefined,
    revocations: { publish: async () => void (await root.revoked()) },
    now: () => root.clock.nowMs
  })
  await publication.publish()
  assert.equal(await readFile(join(tree, 'revocations'), 'utf8'), root.book.text)
  assert.equal(root.book.list.entries.length, 1)
})

async function joinAs(root: Members, id: string, machine: Machine, asked: Parameters<Members['token']>[0] = {}) {
  const { certificate } = await root.members.join(await joinRequest(await root.token(asked), id, machine))
  return new X509Certificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase()
}

test('a relay that joined again, or was removed, is on the list until its former certificate ends', async t => {
  const root = await startRoot(t)
  const machine = makeMachine()
  const first = await joinAs(root, 'rel-2', machine)
  assert.deepEqual(await root.revoked(), [])
  assert.equal(root.book.text, '', 'there is no list before it is needed')
  await joinAs(root, 'rel-2', machine, { memberId: 'rel-2' })
  assert.deepEqual(await root.revoked(), [], 'whoever has the key of the member may have it renewed')
  const third = await joinAs(root, 'rel-2', makeMachine(), { memberId: 'rel-2' })
  assert.equal((await root.revoked()).length, 2)
  assert.ok(root.book.whyRevoked(first))
  assert.equal(root.book.list.number, root.clock.nowMs)
  const node = await joinAs(root, 'node-1', makeMachine(), { kind: 'node' })
  await root.members.remove('node-1')
  root.clock.nowMs -= DAY_MS // set back
  const before = root.book.list.number
  await root.members.remove('rel-2')
  assert.equal((await root.revoked()).length, 3)
  assert.equal(root.book.list.number, before + 1)
  assert.ok(root.book.whyRevoked(third))
  assert.equal(root.book.whyRevoked(node), undefined, 'nobody connects to a node')
  root.clock.nowMs += LIFETIME_MS + 3 * DAY_MS
  assert.deepEqual(await root.revoked(), [])
})

test('a clock that was ahead when a token was made forgets no revocation for good', async t => {
  const root = await startRoot(t)
  const first = await joinAs(root, 'rel-2', makeMachine())
  await root.members.remove('rel-2')
  const { clock, repository } = root
  const pass = async (days: number, uptimeDays: number) => {
    clock.nowMs += days * DAY_MS
    clock.uptimeMs += uptimeDays * DAY_MS
    await root.token()
    return root.revoked()
  }
  assert.deepEqual(await pass(0, 0), [first])
  assert.deepEqual(await pass(200, 1), [], 'it has ended, by that clock')
  assert.deepEqual(await pass(-200, 0.01), [first])
  assert.deepEqual(await pass(2, 2), [first])
  await pass(200, 200)
  await pass(31, 31)
  assert.equal(await repository.certificateState(Buffer.from(first, 'hex')), undefined, 'it has ended for good')
})

test('a store that was made anew from the nodes list forgets nothing that was revoked', async t => {
  const root = await startRoot(t)
  const first = await joinAs(root, 'rel-2', makeMachine())
  await joinAs(root, 'rel-2', makeMachine(), { memberId: 'rel-2' })
  assert.deepEqual(await root.revoked(), [first])
  const empty = await startMembers(t)
  const { repository, clock } = empty
  const { authority, book } = root
  clock.nowMs = root.clock.nowMs - DAY_MS
  const anew = new RevocationPublication({ repository, authority, book, logger: silentLogger, now: () => clock.nowMs })
  await joinAs(empty, 'rel-3', makeMachine())
  const third = await joinAs(empty, 'rel-3', makeMachine(), { memberId: 'rel-3' })
  const former = root.book.list.number
  await anew.publish()
  assert.deepEqual(book.list.entries.map(({ id }) => id).sort(), ['rel-2', 'rel-3'])
  assert.ok(book.whyRevoked(first))
  assert.equal(book.whyRevoked(third), undefined)
  assert.equal(book.list.number, former + 1)
})

test('a root that is given a newer list of its own, which its state does not know of, goes on from there', async t => {
  const root = await startRoot(t)
  const machine = makeMachine()
  const certificate = await joinAs(root, 'rel-2', machine)
  // as it was handed down before the root's state came from a backup, by a clock that was ahead
  const number = root.clock.nowMs + 1_000 * DAY_MS
  const lost = [
    { id: 'rel-2', fingerprint: certificate, untilMs: root.clock.nowMs + DAY_MS },
    { id: 'rel-3', fingerprint: FINGERPRINT, untilMs: root.clock.nowMs + DAY_MS }
  ].sort((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1))
  root.book.onChange(() => root.list.correct())
  await root.book.take(formatRevocationList({ number, entries: lost }, text => root.authority.sign(text)))
  await eventually('a list of what the store says', () => root.book.list.number === number + 1)
  assert.equal(root.book.whyRevoked(certificate), undefined, 'it is good again, and nobody is locked out')
  assert.ok(root.book.whyRevoked(FINGERPRINT))
  await Promise.all([root.revoked(), root.revoked()])
  assert.equal(root.book.list.number, number + 1)
})

test('what is revoked while a list is being made is on the next one', async t => {
  const root = await startRoot(t)
  const certificates = [await joinAs(root, 'rel-2', makeMachine()), await joinAs(root, 'rel-3', makeMachine())]
  await root.repository.remove(await root.repository.version(), 'rel-2', root.clock.nowMs)
  const first = root.revoked()
  await root.repository.remove(await root.repository.version(), 'rel-3', root.clock.nowMs)
  await Promise.all([first, root.revoked()])
  assert.ok(certificates.every(certificate => root.book.whyRevoked(certificate)))
})

test('a failure of the store is told, also while the list in force cannot be kept, which the book tells alone', async t => {
  const { repository, close } = openMembers(await temporaryFolder(t))
  const { book, file, sign, authority } = await startBook(t)
  t.after(() => book.stop())
  await mkdir(file)
  const untilMs = Date.now() + DAY_MS
  const list = formatRevocationList({ number: 5, entries: [{ id: 'rel-2', fingerprint: FINGERPRINT, untilMs }] }, sign)
  await assert.rejects(book.take(list))
  const logged: string[] = []
  const logger = { ...silentLogger, error: (_details: unknown, message?: string) => void logged.push(message ?? '') }
  const publication = new RevocationPublication({ repository, authority, book, logger, now: Date.now })
  publication.correct()
  await assert.rejects(publication.publish())
  assert.deepEqual(logged, [])
  close()
  publication.correct()
  await eventually('a line about the store', () => logged.length > 0)
  assert.match(logged.join(), /^cannot renew the list of revoked certificates/)
})
