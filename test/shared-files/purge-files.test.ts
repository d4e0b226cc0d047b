import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as breathe } from 'node:timers/promises'
import { sign, startSharedFiles } from '../support/parts/shared-file-relays.js'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const SIGNAL = new AbortController().signal

test('what has expired counts as not there, and the purge removes file, metadata and row', async t => {
  const relay = await startSharedFiles(t)
  const short = sign('n1/n1/short', 'x')
  const long = sign('n1/n1/long', 'y')
  await relay.put(short, { query: { ttl: '10' } })
  await relay.put(long)
  const path = join(relay.folder, 'shared-files/n1/files/n1/short')
  relay.clock.nowMs += 9_999
  assert.equal(await relay.head(short), true)
  assert.equal(await relay.files.purgeExpired(SIGNAL), 0)
  relay.clock.nowMs += 1
  assert.equal(await relay.head(short), false)
  assert.ok(existsSync(path))
  assert.equal(await relay.files.purgeExpired(SIGNAL), 1)
  assert.equal(existsSync(path), false)
  assert.equal(existsSync(`${path}.metadata`), false)
  assert.equal(await relay.head(long), true)
  assert.equal((await relay.files.status()).files, 1)
})

test('what was stored before the clock was set back lives as long as it was to, and not until the clock is there again', async t => {
  const relay = await startSharedFiles(t)
  const [file, gone] = [sign('n1/n1/f', 'x'), sign('n1/n1/gone', 'x')]
  await relay.put(file)
  await relay.put(gone)
  const path = join(relay.folder, 'shared-files/n1/files/n1/f')
  rmSync(join(relay.folder, 'shared-files/n1/files/n1/gone'))
  const unsettled = relay.db.prepare('SELECT 1 FROM shared_files WHERE spool IS NOT NULL')
  while (unsettled.get() !== undefined) await breathe()
  relay.clock.nowMs -= 365 * DAY_MS
  assert.equal(await relay.files.purgeExpired(SIGNAL), 0)
  const expires = Math.ceil((relay.clock.nowMs + HOUR_MS) / 1_000)
  assert.ok(readFileSync(`${path}.metadata`, 'utf8').endsWith(`\nexpires=${expires}\n`))
  assert.equal((await relay.files.status()).files, 1)
  assert.equal(await relay.head(file), true)
  relay.clock.nowMs += HOUR_MS
  assert.equal(await relay.head(file), false)
  assert.equal(await relay.files.purgeExpired(SIGNAL), 1)
})

test('a file that is damaged on the disk is forgotten by the next purge, or by a start, and can be shared again', async t => {
  let relay = await startSharedFiles(t)
  const file = sign('n1/n1/f', 'hello')
  const restart = async () => {
    await relay.stop()
    relay = await startSharedFiles(t, { folder: relay.folder })
  }
  for (const look of [() => relay.files.purgeExpired(SIGNAL), restart]) {
    await relay.put(file)
    const unsettled = relay.db.prepare('SELECT 1 FROM shared_files WHERE spool IS NOT NULL')
    while (unsettled.get() !== undefined) await breathe()
    truncateSync(join(relay.folder, 'shared-files/n1/files/n1/f'), 2)
    await look()
    assert.equal(await relay.head(file), false)
    assert.deepEqual(readdirSync(join(relay.folder, 'shared-files/n1/files/n1')), [])
    assert.equal((await relay.files.status()).bytes, 0)
  }
  assert.equal(await relay.put(file), 'stored')
})

test('a file that is put again during the purge is not lost', async t => {
  const relay = await startSharedFiles(t)
  const files = Array.from({ length: 100 }, (_, index) => sign(`n1/n1/f${index}`, `x${index}`))
  for (const file of files) await relay.put(file, { query: { ttl: '1' } })
  relay.clock.nowMs += 1_000
  const purge = relay.files.purgeExpired(SIGNAL)
  await Promise.all(files.map(file => relay.put(file)))
  await purge
  for (const file of files) {
    assert.equal(await relay.head(file), true)
    assert.ok(existsSync(join(relay.folder, 'shared-files/n1/files/n1', file.key.fileId)))
  }
})

test('the purge drops rows whose file someone else removed', async t => {
  const relay = await startSharedFiles(t)
  const file = sign('n1/n1/f', 'x')
  const other = sign('n1/n1/g', 'x')
  await relay.put(file)
  await relay.put(other)
  await relay.stop()
  const again = await startSharedFiles(t, { folder: relay.folder })
  rmSync(join(relay.folder, 'shared-files/n1/files/n1/f'))
  await again.files.purgeExpired(SIGNAL)
  assert.equal(await again.head(file), false)
  assert.equal(await again.head(other), true)
  assert.equal((await again.files.status()).bytes, 1)
})
