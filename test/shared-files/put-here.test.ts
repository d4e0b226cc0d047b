import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { test } from 'node:test'
import { RelayError, type RelayErrorCode } from '../../src/values/failures/relay-error.js'
import {
  ed25519Key,
  keyHashOf,
  originOf,
  otherRsaKey,
  putRequest,
  type SignedBytes,
  sign,
  startSharedFiles,
  statedAt,
  type TestRelay
} from '../support/parts/shared-file-relays.js'
import { withOtherDigest } from '../support/work/signed-files.js'

const withCode = (code: RelayErrorCode) => (error: unknown) => error instanceof RelayError && error.code === code

function pathOf(relay: TestRelay, { key }: SignedBytes): string {
  return join(relay.folder, 'shared-files', key.target, 'files', key.source, key.fileId)
}

function incoming(relay: TestRelay): string[] {
  return readdirSync(join(relay.folder, 'shared-files', '.incoming~'))
}

function metadataFields({ metadata }: SignedBytes): Record<string, string> {
  const lines = metadata.trim().split('\n')
  return Object.fromEntries(lines.map(line => line.split(/=(.*)/s, 2)))
}

async function refuses(relay: TestRelay, code: RelayErrorCode, file: SignedBytes, changes = {}): Promise<void> {
  await assert.rejects(relay.put(file, changes), withCode(code))
  assert.equal(existsSync(pathOf(relay, file)), false)
  assert.deepEqual(incoming(relay), [])
  assert.equal((await relay.files.status()).files, 0)
}

test('a file lies where existing agents look for it, with its metadata and expires beside it', async t => {
  const relay = await startSharedFiles(t)
  const file = sign('n1/n1/report.txt', 'hello', { extra: { hostname: 'n1.example.com', expires: '1' } })
  assert.equal(await relay.head(file), false)
  assert.equal(await relay.put(file), 'stored')
  assert.equal(readFileSync(pathOf(relay, file), 'utf8'), 'hello')
  const expires = Math.ceil((relay.clock.nowMs + 3_600_000) / 1_000)
  assert.equal(readFileSync(`${pathOf(relay, file)}.metadata`, 'utf8'), `${file.metadata}expires=${expires}\n`)
  assert.deepEqual(incoming(relay), [])
  assert.equal(await relay.head(file), true)
  assert.equal(await relay.head(file, file.hash.toUpperCase()), true)
  assert.equal(await relay.head(file, ''), false)
  assert.equal(await relay.head(file, 'ff'), false)
})

for (const size of [0, 1, 65_536, 65_537, 3_000_000]) {
  test(`a file of ${size} bytes that comes in pieces is stored whole`, async t => {
    const relay = await startSharedFiles(t)
    const file = sign('n1/n1/f', Buffer.alloc(size, 'x\n\n'))
    const pieces = [file.body.subarray(0, 7), file.body.subarray(7, 1_800), file.body.subarray(1_800)]
    const body = Readable.from(pieces, { objectMode: false })
    assert.equal(await relay.put(file, { body, contentLength: undefined }), 'stored')
    assert.ok(readFileSync(pathOf(relay, file)).equals(file.content))
    assert.deepEqual(await relay.files.status(), {
      files: 1,
      bytes: size,
      outboxPending: 0,
      outboxFailed: 0,
      outboxBytes: 0
    })
  })
}

test('metadata may come in the query; then the whole body is the file', async t => {
  const relay = await startSharedFiles(t)
  const file = sign('n1/n1/f', 'a\n\nb')
  const body = Readable.from([file.content], { objectMode: false })
  const query = { ttl: '1d', ...metadataFields(file) }
  assert.equal(await relay.put(file, { query, body, contentLength: 4 }), 'stored')
  assert.equal(readFileSync(pathOf(relay, file), 'utf8'), 'a\n\nb')
})

test('the ttl may come in the metadata', async t => {
  const relay = await startSharedFiles(t)
  const file = sign('n1/n1/f', 'x', { extra: { ttl: '5h 3s' } })
  assert.equal(await relay.put(file, { query: {} }), 'stored')
  await refusesOther(relay)
})

async function refusesOther(relay: TestRelay): Promise<void> {
  const other = sign('n1/n1/other', 'x')
  await assert.rejects(relay.put(other, { query: {} }), withCode('INVALID_INPUT'))
}

test('what is wrong with a file is refused with its own code, and nothing stays', async t => {
  const relay = await startSharedFiles(t)
  const good = sign('n1/n1/f', 'hello')
  const forged = { ...good, body: Buffer.concat([good.body, Buffer.from('!')]) }
  const altered = { ...good, body: Buffer.from(withOtherDigest(good.body.toString('latin1')), 'latin1') }
  await refuses(relay, 'BAD_SIGNATURE', forged)
  await refuses(relay, 'BAD_SIGNATURE', altered)
  await refuses(relay, 'BAD_SIGNATURE', sign('n1/n1/f', 'hello'), { key: good.key, body: Readable.from([forged.body]) })
  await refuses(relay, 'UNKNOWN_SOURCE', sign('n1/n1/f', 'hello', { key: otherRsaKey }))
  await refuses(relay, 'UNKNOWN_SOURCE', sign('n1/nobody/f', 'hello'))
  await refuses(relay, 'UNKNOWN_SOURCE', sign('n1/keyless/f', 'hello'))
  await refuses(relay, 'UNKNOWN_NODE', sign('nobody/n1/f', 'hello'))
  await refuses(relay, 'INVALID_INPUT', sign('../n1/f', 'hello'))
  await refuses(relay, 'INVALID_INPUT', sign('n1/n1/f.METADATA', 'hello'))
  await refuses(relay, 'INVALID_INPUT', good, { query: { ttl: 'soon' } })
  await refuses(relay, 'INVALID_INPUT', sign('n1/n1/f', 'hello', { algorithm: 'sha1' }))
  await refuses(relay, 'INVALID_INPUT', { ...good, body: Buffer.from('no empty line=\n') })
  await refuses(relay, 'INVALID_INPUT', { ...good, body: Buffer.alloc(70_000, 'a=b') })
  await refuses(relay, 'LOOP_DETECTED', good, { origin: originOf(undefined, ['x', 'root']) })
  assert.equal(await relay.put(good), 'stored')
})

test('the ttl is judged last, once the source, its key and the signature are known to be good', async t => {
  const relay = await startSharedFiles(t)
  const good = sign('n1/n1/f', 'hello')
  const forged = { ...good, body: Buffer.concat([good.body, Buffer.from('!')]) }
  for (const query of [{ ttl: 'soon' }, {}, { ttl: '9999999999999 days' }] as Record<string, string>[]) {
    await refuses(relay, 'UNKNOWN_SOURCE', sign('n1/nobody/f', 'hello'), { query })
    await refuses(relay, 'UNKNOWN_SOURCE', sign('n1/n1/f', 'hello', { key: otherRsaKey }), { query })
    await refuses(relay, 'BAD_SIGNATURE', forged, { query })
    await refuses(relay, 'INVALID_INPUT', good, { query })
    const inQuery = { query: { ...query, ...metadataFields(good) }, contentLength: 5 }
    const bodyOf = (text: string) => Readable.from([Buffer.from(text)], { objectMode: false })
    await refuses(relay, 'BAD_SIGNATURE', good, { ...inQuery, body: bodyOf('hullo') })
    await refuses(relay, 'INVALID_INPUT', good, { ...inQuery, body: bodyOf('hello') })
  }
})

test('the ttl counts from when the file began to come', async t => {
  const relay = await startSharedFiles(t)
  const file = sign('n1/n1/f', 'hello')
  const beganAtMs = relay.clock.nowMs
  const body = new PassThrough()
  const put = relay.put(file, { query: { ttl: '10' }, body })
  relay.clock.nowMs += 5_000
  body.end(file.body)
  await put
  relay.clock.nowMs = beganAtMs + 9_999
  assert.equal(await relay.head(file), true)
  relay.clock.nowMs += 1
  assert.equal(await relay.head(file), false)
})

test('a bad large file leaves nothing of what was spooled', async t => {
  const relay = await startSharedFiles(t)
  const good = sign('n1/n1/f', Buffer.alloc(1_000_000))
  await refuses(relay, 'BAD_SIGNATURE', { ...good, body: Buffer.concat([good.body, Buffer.alloc(1)]) })
})

test('what can be checked without the body is checked before the sender is told to go on', async t => {
  const relay = await startSharedFiles(t, { config: { maxBodyBytes: 10_000 } })
  const file = sign('n1/n1/f', 'x')
  const silent = { body: new PassThrough(), onContinue: () => assert.fail('it went on') }
  await refuses(relay, 'UNKNOWN_SOURCE', sign('n1/nobody/f', 'x'), silent)
  await refuses(relay, 'BODY_TOO_LARGE', file, { ...silent, contentLength: 10_001 })
  let continued = 0
  await relay.put(file, { onContinue: () => (continued += 1) })
  assert.equal(continued, 1)
})

test('a chunked body that grows beyond the limit is refused', async t => {
  const relay = await startSharedFiles(t, { config: { maxBodyBytes: 100_000 } })
  await refuses(relay, 'BODY_TOO_LARGE', sign('n1/n1/f', Buffer.alloc(100_000)), { contentLength: undefined })
})

test('sha1 is taken when it is allowed', async t => {
  const relay = await startSharedFiles(t, { config: { allowSha1: true } })
  assert.equal(await relay.put(sign('n1/n1/f', 'x', { algorithm: 'sha1' })), 'stored')
})

test('a second file of the same id takes the place of the first', async t => {
  const relay = await startSharedFiles(t)
  const first = sign('n1/n1/f', 'first')
  const second = sign('n1/n1/f', 'second one')
  await relay.put(first)
  assert.equal(await relay.put(second), 'stored')
  assert.equal(await relay.head(first), false)
  assert.equal(await relay.head(second), true)
  assert.equal((await relay.files.status()).bytes, second.content.length)
  assert.equal(readFileSync(pathOf(relay, first), 'utf8'), 'second one')
})

test('an older copy does not take the place of a newer one', async t => {
  const relay = await startSharedFiles(t)
  const newer = sign('n1/n1/f', 'newer')
  await relay.put(newer, statedAt(relay.clock.nowMs - 1_000))
  assert.equal(await relay.put(sign('n1/n1/f', 'older'), statedAt(relay.clock.nowMs - 2_000)), 'superseded')
  assert.equal(await relay.head(newer), true)
  assert.deepEqual(incoming(relay), [])
})

test('an Ed25519 file signed before the stored one is not stored', async t => {
  const relay = await startSharedFiles(t)
  const options = { key: ed25519Key }
  await relay.put(sign('n1/e1/f', 'newer', { ...options, signedAtMs: 2_000 }))
  assert.equal(await relay.put(sign('n1/e1/f', 'older', { ...options, signedAtMs: 1_000 })), 'superseded')
  assert.equal(await relay.put(sign('n1/e1/f', 'newest', { ...options, signedAtMs: 3_000 })), 'stored')
})

test('an Ed25519 signature holds for its own names only', async t => {
  const relay = await startSharedFiles(t)
  const file = sign('n1/e1/f', 'x', { key: ed25519Key })
  await refuses(relay, 'BAD_SIGNATURE', { ...file, key: { ...file.key, fileId: 'g' } })
})

test('a key hash vouched for counts only for nodes that are not below this relay', async t => {
  const relay = await startSharedFiles(t, { selfId: 'relay', nodes: [{ id: 'n2', policyServer: 'relay' }] })
  const vouched = { sourceKeyHash: keyHashOf(otherRsaKey) }
  assert.equal(await relay.put(sign('n2/far/f', 'x', { key: otherRsaKey }), vouched), 'stored')
  await assert.rejects(relay.put(sign('n2/n2/f', 'x', { key: otherRsaKey }), vouched), withCode('UNKNOWN_SOURCE'))
})

test('require_sender admits the source and the relays above it', async t => {
  const relay = await startSharedFiles(t, { config: { requireSender: true } })
  const address = '10.0.0.1'
  const n2 = sign('n1/n2/f', 'x')
  const by = (kind: 'node' | 'relay' | 'network' | 'local', id?: string) => ({
    origin: originOf({ kind, address, ...(id !== undefined && { id }) })
  })
  await refuses(relay, 'FORBIDDEN', n2, by('network'))
  await refuses(relay, 'FORBIDDEN', n2, by('local'))
  await refuses(relay, 'FORBIDDEN', n2, by('node', 'n1'))
  assert.equal(await relay.put(n2, by('relay', 'relay')), 'stored')
  assert.equal(await relay.put(sign('n1/n1/f', 'x'), by('node', 'n1')), 'stored')
  assert.equal(await relay.put(sign('n1/root/f', 'x'), by('local')), 'stored')
})

test('quotas refuse what goes beyond them', async t => {
  const relay = await startSharedFiles(t, { config: { maxTotalBytes: 5_000, maxFilesPerSource: 2 } })
  await relay.put(sign('n1/n1/a', 'x'))
  await assert.rejects(relay.put(sign('n1/n1/b', Buffer.alloc(6_000))), withCode('STORAGE_FULL'))
  await assert.rejects(
    relay.put(sign('n1/n1/b', Buffer.alloc(6_000)), { contentLength: undefined }),
    withCode('STORAGE_FULL')
  )
  await relay.put(sign('n1/n1/b', 'x'))
  await assert.rejects(relay.put(sign('n1/n1/c', 'x')), withCode('STORAGE_FULL'))
  assert.equal(await relay.put(sign('n1/n1/b', 'again')), 'stored')
  assert.equal(await relay.put(sign('n1/n2/c', 'x')), 'stored')
  assert.deepEqual(incoming(relay), [])
})

test('a sender that goes away, or is too slow, leaves nothing', async t => {
  const pace = { metadataMs: 30, windowMs: 30, minBytesPerSecond: 1_000_000 }
  const relay = await startSharedFiles(t, { more: { pace } })
  const file = sign('n1/n1/f', Buffer.alloc(200_000))
  const gone = new PassThrough()
  gone.write(file.body.subarray(0, 5_000))
  setImmediate(() => gone.destroy())
  await refuses(relay, 'CLIENT_GONE', file, { body: gone })
  await refuses(relay, 'CLIENT_TOO_SLOW', file, { body: new PassThrough() })
  const slow = new PassThrough()
  slow.write(file.body.subarray(0, 5_000))
  await refuses(relay, 'CLIENT_TOO_SLOW', file, { body: slow })
})

test('fifty files at once, of few keys, end with the last one of each', async t => {
  const relay = await startSharedFiles(t)
  const all = Array.from({ length: 50 }, (_, index) => sign(`n1/n1/f${index % 5}`, `content ${index}`))
  await Promise.all(all.map((file, index) => relay.files.put(putRequest(file, statedAt(index + 1)))))
  for (const file of all.slice(-5)) {
    assert.equal(await relay.head(file), true)
    assert.equal(readFileSync(pathOf(relay, file), 'utf8'), file.content.toString())
  }
  assert.equal((await relay.files.status()).files, 5)
})
