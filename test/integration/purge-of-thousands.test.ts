import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as breathe } from 'node:timers/promises'
import { sign, startSharedFiles } from '../support/parts/shared-file-relays.js'

const SIGNAL = new AbortController().signal

test('a thousand go in one pass, and two purges at once are one', async t => {
  const relay = await startSharedFiles(t)
  const file = sign('n1/n1/f', 'x')
  for (let start = 0; start < 1_000; start += 50) {
    const ids = Array.from({ length: 50 }, (_, index) => `f${start + index}`)
    const put = (fileId: string) => relay.put({ ...file, key: { ...file.key, fileId } }, { query: { ttl: '1' } })
    await Promise.all(ids.map(put))
  }
  relay.clock.nowMs += 1_000
  const both = await Promise.all([relay.files.purgeExpired(SIGNAL), relay.files.purgeExpired(SIGNAL)])
  assert.deepEqual(both, [1_000, 1_000])
  assert.equal((await relay.files.status()).files, 0)
})

test('ten thousand go in one pass, a few at a time: requests get their turn in between', async t => {
  const relay = await startSharedFiles(t)
  const [kept, short] = [sign('n1/n1/kept', 'x'), sign('n1/n1/f0', 'x')]
  await relay.put(kept)
  await relay.put(short, { query: { ttl: '1' } })
  const folder = join(relay.folder, 'shared-files/n1/files/n1')
  const metadata = readFileSync(join(folder, 'f0.metadata'))
  for (let index = 1; index < 10_000; index += 1) {
    writeFileSync(join(folder, `f${index}`), 'x')
    writeFileSync(join(folder, `f${index}.metadata`), metadata)
  }
  const columns = relay.db.prepare("SELECT group_concat(name) FROM pragma_table_info('shared_files')").pluck().get()
  const copied = String(columns).replace('file_id', "'f' || n").replace('spool', 'NULL')
  relay.db.exec(`WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 9999)
    INSERT INTO shared_files (${columns}) SELECT ${copied} FROM shared_files, numbers WHERE file_id = 'f0'`)
  assert.equal((await relay.files.status()).files, 10_001)
  relay.clock.nowMs += 1_000
  let isOver = false
  const purge = relay.files.purgeExpired(SIGNAL).finally(() => {
    isOver = true
  })
  let [left, turns, most] = [10_001, 0, 0]
  let put: Promise<string> | undefined
  while (!isOver) {
    await breathe()
    assert.equal(await relay.head(kept), true)
    const now = (await relay.files.status()).files
    most = Math.max(most, left - now)
    left = now
    turns += 1
    if (turns === 10) put = relay.put(sign('n1/n1/new', 'y')).finally(() => assert.ok(!isOver, 'it had to wait'))
  }
  assert.equal(await purge, 10_000)
  assert.equal(await put, 'stored')
  assert.ok(most <= 128, `${most} rows went between two requests`)
  assert.deepEqual(readdirSync(folder).sort(), ['kept', 'kept.metadata', 'new', 'new.metadata'])
})
