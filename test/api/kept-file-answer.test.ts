import assert from 'node:assert/strict'
import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import pino from 'pino'
import { buildApp } from '../../src/api/app.js'
import { API_PREFIX } from '../../src/network/api-prefix.js'
import type { FoundFile } from '../../src/shared-files/file-types.js'
import { Claims } from '../../src/storage/sqlite/claims.js'
import { createFileRepository } from '../../src/storage/sqlite/sqlite-files.js'
import { eventually } from '../support/eventually.js'
import { makeRelayParts } from '../support/parts/relay-parts.js'
import { type SignedBytes, sign, startSharedFiles, type TestRelay } from '../support/parts/shared-file-relays.js'

const PATH = 'n1/root/f'
const FIRST = sign(PATH, 'the first version')
const SECOND = sign(PATH, 'second')

/** What happens between the look at the row and the opening of the file. */
type Between = (file: FoundFile) => Promise<FoundFile>

interface Reading {
  readonly relay: TestRelay
  read(headers?: Record<string, string>): Promise<Response>
}

/** A relay that keeps `FIRST` and listens; `between` is called in every look-up of a GET. */
async function startReading(t: TestContext, between: (relay: TestRelay) => Between): Promise<Reading> {
  const relay = await startSharedFiles(t)
  const parts = await makeRelayParts()
  t.after(() => parts.close())
  const step = between(relay)
  const sharedFiles: TestRelay['files'] = {
    ...relay.files,
    get: async (...request) => {
      const file = await relay.files.get(...request)
      return file.kind === 'kept' ? step(file) : file
    }
  }
  const app = await buildApp({ services: { ...parts.services, sharedFiles }, logger: pino({ level: 'silent' }) })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  t.after(() => app.close())
  assert.equal(await relay.put(FIRST), 'stored')
  return { relay, read: (headers = {}) => fetch(`${url}${API_PREFIX}/shared-files/${PATH}`, { headers }) }
}

/** Puts these files in place of one another, one for each look-up. */
function replaceBy(...files: readonly SignedBytes[]): (relay: TestRelay) => Between {
  const waiting = [...files]
  return relay => async found => {
    const next = waiting.shift()
    if (next !== undefined) assert.equal(await relay.put(next), 'stored')
    return found
  }
}

function etagOf(file: SignedBytes): string {
  return `"sha512:${file.hash}"`
}

/** That everything in an answer is of one version. */
async function checkIsWhole(answer: Response, file: SignedBytes): Promise<void> {
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('etag'), etagOf(file))
  assert.equal(answer.headers.get('content-length'), String(file.content.length))
  const metadata = Buffer.from(answer.headers.get('treeline-file-metadata') ?? '', 'base64')
  assert.equal(String(metadata), file.metadata)
  assert.equal(await answer.text(), String(file.content))
}

/** How often this process has `path`, or what was there before, open. */
function countOpen(path: string): number {
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path)
    } catch {
      return false // the one with which the folder was read
    }
  }).length
}

test('a file that is replaced before it is open goes out whole, as the new one', async t => {
  const { relay, read } = await startReading(t, replaceBy(SECOND))
  await checkIsWhole(await read(), SECOND)
  if (process.platform !== 'linux') return
  const path = join(relay.folder, 'shared-files/n1/files/root/f')
  await eventually('what was opened in vain is closed', () => countOpen(path) === 0)
})

test('a file that is replaced twice, and comes back as it was, goes out with the metadata of the last', async t => {
  const again = sign(PATH, FIRST.content, { extra: { note: 'again' } })
  let lookUps = 0
  const { read } = await startReading(t, relay => async found => {
    lookUps += 1
    if (lookUps === 1) for (const file of [SECOND, again]) assert.equal(await relay.put(file), 'stored')
    return found
  })
  await checkIsWhole(await read(), again)
})

test('conditions that name the former version do not hold for the one that took its place', async t => {
  const asked: readonly [Record<string, string>, number, string][] = [
    [{ range: 'bytes=2-3', 'if-range': etagOf(FIRST) }, 200, 'second'],
    [{ range: 'bytes=2-3', 'if-range': etagOf(SECOND) }, 206, 'co'],
    [{ range: 'bytes=2-3' }, 206, 'co'],
    [{ 'if-match': etagOf(SECOND) }, 200, 'second'],
    [{ 'if-none-match': etagOf(SECOND) }, 304, '']
  ]
  for (const [headers, status, text] of asked) {
    const { read } = await startReading(t, replaceBy(SECOND))
    const answer = await read(headers)
    assert.deepEqual([answer.status, await answer.text()], [status, text], JSON.stringify(headers))
    assert.equal(answer.headers.get('etag'), etagOf(SECOND))
  }
  const { read } = await startReading(t, replaceBy(SECOND))
  assert.equal((await read({ 'if-match': etagOf(FIRST) })).status, 412)
})

test('a range that one of the versions lacks: what counts, and what the answer says, is the last one', async t => {
  const longer = sign(PATH, 'a version that is longer than the others')
  const [{ read }, { read: readSecond }] = [
    await startReading(t, replaceBy(SECOND, longer)),
    await startReading(t, replaceBy(SECOND))
  ]
  const part = await read({ range: 'bytes=20-24' })
  assert.equal(part.headers.get('content-range'), `bytes 20-24/${longer.content.length}`)
  assert.deepEqual([part.status, await part.text()], [206, String(longer.content.subarray(20, 25))])
  const whole = await readSecond({ range: 'bytes=10-12', 'if-range': etagOf(FIRST) })
  assert.equal(whole.headers.get('content-range'), null)
  await checkIsWhole(whole, SECOND)
})

test('a file that never holds still is refused, with a time after which to try again', async t => {
  let version = 0
  const { read } = await startReading(t, relay => async found => {
    version += 1
    assert.equal(await relay.put(sign(PATH, `version ${version}`)), 'stored')
    return found
  })
  const answer = await read()
  assert.equal(answer.status, 503)
  assert.equal(answer.headers.get('retry-after'), '5')
  assert.equal(await answer.text(), 'the file is being replaced again and again; try again in a moment\n')
  assert.equal(version, 5)
})

test('it is asked once the file is open: what takes its place afterwards does not go out', async t => {
  const { read } = await startReading(t, () => async found => ({
    ...found,
    isCurrent: async () => {
      const isCurrent = await found.isCurrent()
      writeFileSync(`${found.path}.next`, SECOND.content)
      renameSync(`${found.path}.next`, found.path)
      return isCurrent
    }
  }))
  await checkIsWhole(await read(), FIRST)
})

test('where others may write, a link that takes the place of its folder meanwhile is not read through', async t => {
  const { read } = await startReading(t, relay => {
    const shared = join(relay.folder, 'shared-files')
    chmodSync(shared, 0o777)
    return async found => {
      renameSync(join(shared, FIRST.key.target), join(relay.folder, 'away'))
      cpSync(join(relay.folder, 'away'), join(relay.folder, 'elsewhere'), { recursive: true })
      symlinkSync(join(relay.folder, 'elsewhere'), join(shared, FIRST.key.target))
      return found
    }
  })
  const answer = await read()
  assert.equal(answer.status, 503)
  assert.match(await answer.text(), /is a symbolic link, and has to be a folder/)
})

test('that a file reached the disk meanwhile does not make it another version', async t => {
  let lookUps = 0
  const { relay, read } = await startReading(t, () => async found => {
    lookUps += 1
    await createFileRepository(relay.db, new Claims()).markDurable(['a name'])
    return found
  })
  const repository = createFileRepository(relay.db, new Claims())
  const kept = await repository.find(FIRST.key)
  assert.ok(kept !== undefined)
  assert.equal(await repository.keep({ ...kept, spool: 'a name' }, { replacing: kept }), 'kept')
  await checkIsWhole(await read(), FIRST)
  assert.equal((await repository.find(FIRST.key))?.spool, undefined)
  assert.equal(lookUps, 1)
})

test('a file that is gone or damaged on the disk: 404, and it can be shared again', async t => {
  const damages: Record<string, (path: string) => void> = {
    truncated: path => truncateSync(path, 3),
    'longer than it was': path => appendFileSync(path, 'x'),
    gone: path => rmSync(path),
    'gone with its folder': path => rmSync(dirname(path), { recursive: true }),
    'a folder': path => {
      rmSync(path)
      mkdirSync(join(path, 'x'), { recursive: true })
    }
  }
  for (const [name, damage] of Object.entries(damages)) {
    for (const headers of [{}, { range: 'bytes=2-3' }, { range: 'bytes=9-10' }]) {
      const { relay, read } = await startReading(t, () => async found => found)
      const path = join(relay.folder, 'shared-files/n1/files/root/f')
      assert.equal(await relay.head(FIRST), true)
      damage(path)
      assert.equal((await read(headers)).status, 404, name)
      assert.equal(await relay.head(FIRST), false, name)
      const { files, bytes } = await relay.files.status()
      assert.deepEqual([files, bytes], [0, 0])
      rmSync(path, { recursive: true, force: true })
      assert.equal(await relay.put(FIRST), 'stored', name)
      await checkIsWhole(await read(), FIRST)
    }
  }
})

test('what an existing relay put in the place of a file is answered with as soon as it is read', async t => {
  const { relay, read } = await startReading(t, () => async found => found)
  const path = join(relay.folder, 'shared-files/n1/files/root/f')
  writeFileSync(path, SECOND.content)
  writeFileSync(`${path}.metadata`, `${SECOND.metadata}expires=${Math.floor(relay.clock.nowMs / 1_000) + 60}\n`)
  const answer = await read()
  assert.deepEqual([answer.headers.get('etag'), await answer.text()], [etagOf(SECOND), String(SECOND.content)])
  assert.equal(await relay.head(SECOND), true)
})
