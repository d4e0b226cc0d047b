import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  type SignedBytes,
  sign,
  startSharedFiles,
  TestHop,
  type TestRelay
} from '../support/parts/shared-file-relays.js'
import { shared, until } from '../support/relays/existing-relays.js'

test('a file whose row was committed before its names were changed is put in place at start', async t => {
  const first = await startSharedFiles(t)
  const file = sign('n1/n1/f', 'hello')
  await first.put(file)
  await first.files.stop()
  first.db.prepare("UPDATE shared_files SET spool = 'abc-1'").run()
  await first.stop()
  const path = shared(first, 'n1/files/n1/f')
  const metadata = readFileSync(`${path}.metadata`, 'utf8')
  for (const isMoved of [false, true]) {
    if (!isMoved) renameSync(path, shared(first, '.incoming~/abc-1'))
    rmSync(`${path}.metadata`, { force: true })
    const again = await startSharedFiles(t, { folder: first.folder })
    assert.equal(readFileSync(path, 'utf8'), 'hello')
    assert.equal(readFileSync(`${path}.metadata`, 'utf8'), metadata)
    assert.equal(await again.head(file), true)
    assert.deepEqual(readdirSync(shared(first, '.incoming~')), [])
    await again.files.stop()
    const spool = again.db.prepare('SELECT spool FROM shared_files').pluck().get()
    assert.equal(spool, null)
    again.db.prepare("UPDATE shared_files SET spool = 'abc-1'").run()
    await again.stop()
  }
})

test('a database from a backup that was made while a file was put in place leaves a newer version as it is', async t => {
  const versions = {
    longer: sign('n1/n1/longer', 'hello again'),
    other: sign('n1/n1/other', 'hallo'),
    prolonged: sign('n1/n1/prolonged', 'hello')
  }
  const names = Object.keys(versions)
  const first = await startSharedFiles(t)
  for (const name of [...names, 'gone', 'same'])
    await first.put(sign(`n1/n1/${name}`, 'hello'), { query: { ttl: '60' } })
  await first.files.stop()
  first.db.prepare("UPDATE shared_files SET spool = 'abc-' || file_id").run()
  const columns = String(
    first.db.prepare("SELECT group_concat(name) FROM pragma_table_info('shared_files')").pluck().get()
  )
  first.db.exec('CREATE TABLE backup AS SELECT * FROM shared_files')
  await first.stop()
  const second = await startSharedFiles(t, { folder: first.folder })
  second.clock.nowMs += 1_000
  for (const file of Object.values(versions)) assert.equal(await second.put(file), 'stored')
  await second.files.stop()
  for (const name of ['gone', 'gone.metadata']) rmSync(shared(second, `n1/files/n1/${name}`))
  const folder = shared(second, 'n1/files/n1')
  const content = () => readdirSync(folder).map(name => [name, readFileSync(join(folder, name), 'utf8')])
  const before = content()
  const rowsOf = (relay: TestRelay) =>
    relay.db
      .prepare('SELECT file_id, hash, size_bytes, (expires_at + 999) / 1000, spool FROM shared_files ORDER BY 1')
      .all()
  second.db.exec("DELETE FROM shared_files WHERE file_id = 'gone'")
  const rows = rowsOf(second)
  second.db.exec(
    `DELETE FROM shared_files; INSERT INTO shared_files (${columns}) SELECT ${columns} FROM backup; DROP TABLE backup`
  )
  await second.stop()

  const third = await startSharedFiles(t, { folder: first.folder })
  for (const file of Object.values(versions)) assert.equal(await third.head(file), true)
  assert.equal((await third.files.status()).bytes, 'hello'.length * 3 + 'hello again'.length)
  third.files.start()
  await third.files.purgeExpired(new AbortController().signal)
  await third.files.stop()
  assert.deepEqual(content(), before)
  assert.deepEqual(rowsOf(third), rows)
})

test('what was never acknowledged goes after a crash; what may have been is moved to lost~, and stays', async t => {
  const folder = (await startSharedFiles(t)).folder
  writeFileSync(shared({ folder }, '.incoming~/half'), 'x')
  for (const name of ['whole', 'whole.metadata']) writeFileSync(shared({ folder }, `.incoming~/${name}`), 'x')
  writeFileSync(shared({ folder }, '.outbox~/01ARZ3NDEKTSV4RRFFQ69G5FAV'), 'x')
  const again = await startSharedFiles(t, { folder })
  assert.deepEqual(readdirSync(shared(again, '.incoming~')), [])
  assert.deepEqual(readdirSync(shared(again, '.outbox~')), [])
  assert.deepEqual(readdirSync(shared(again, 'lost~')).sort(), [
    '01ARZ3NDEKTSV4RRFFQ69G5FAV',
    'whole',
    'whole.metadata'
  ])
  await again.stop()
  writeFileSync(shared({ folder }, '.outbox~/01ARZ3NDEKTSV4RRFFQ69G5FAV'), 'another')
  const config = { maxTotalBytes: 14 }
  const third = await startSharedFiles(t, { folder, config })
  assert.equal(readFileSync(shared(third, 'lost~/01ARZ3NDEKTSV4RRFFQ69G5FAV'), 'utf8'), 'x')
  assert.equal(readFileSync(shared(third, 'lost~/01ARZ3NDEKTSV4RRFFQ69G5FAV~2'), 'utf8'), 'another')

  assert.deepEqual(third.files.lost(), { folder: shared(third, 'lost~'), files: 4, bytes: 10 })
  const full = { code: 'STORAGE_FULL', message: /max_total_size is 14, and 10 are in use, 10 of them in lost~$/ }
  const file = sign('n1/n1/f', 'hello')
  const chunked = { contentLength: undefined }
  await assert.rejects(third.put(file, chunked), full)
  rmSync(shared(third, 'lost~'), { recursive: true })
  await third.files.purgeExpired(new AbortController().signal)
  assert.equal(third.files.lost().files, 0)
  assert.equal(await third.put(file, chunked), 'stored')
})

test('a kill between a waiting file and its record loses neither, and what is done with is not taken for lost', async t => {
  const first = await startSharedFiles(t, { hops: [new TestHop('relay')] })
  assert.equal(await first.put(sign('n2/n1/waits', 'hello')), 'pending')
  const [entry] = await first.files.outbox.list()
  const id = entry?.id ?? ''
  await first.stop()
  const outbox = shared(first, '.outbox~')
  assert.deepEqual(readdirSync(outbox), [id])
  renameSync(join(outbox, id), join(outbox, `${id}~`))
  writeFileSync(join(outbox, '01ARZ3NDEKTSV4RRFFQ69G5FAV~'), 'not acknowledged, or handed on')
  const again = await startSharedFiles(t, { folder: first.folder, hops: [new TestHop('relay')] })
  assert.deepEqual(readdirSync(outbox), [id])
  assert.ok(!existsSync(shared(again, 'lost~')))
  await again.stop()
})

test('where the database has its rows, whole leftovers go as well: they were never acknowledged', async t => {
  const first = await startSharedFiles(t)
  await first.put(sign('n1/n1/f', 'hello'))
  await first.stop()
  for (const name of ['whole', 'whole.metadata']) writeFileSync(shared(first, `.incoming~/${name}`), 'x')
  const again = await startSharedFiles(t, { folder: first.folder })
  assert.deepEqual(readdirSync(shared(again, '.incoming~')), [])
  assert.equal(existsSync(shared(again, 'lost~')), false)
})

test('nothing is removed where a link leads that somebody put in place of a folder of leftovers', async t => {
  const first = await startSharedFiles(t)
  await first.files.stop()
  await first.stop()
  const elsewhere = join(first.folder, 'elsewhere')
  mkdirSync(elsewhere)
  writeFileSync(join(elsewhere, 'file'), 'x')
  rmSync(shared(first, '.outbox~'), { recursive: true })
  symlinkSync(elsewhere, shared(first, '.outbox~'))
  await assert.rejects(
    startSharedFiles(t, { folder: first.folder }),
    /\.outbox~ is a symbolic link, and has to be a folder/
  )
  assert.deepEqual(readdirSync(elsewhere), ['file'])
  rmSync(elsewhere, { recursive: true })
  await assert.rejects(startSharedFiles(t, { folder: first.folder }), /\.outbox~ is a symbolic link, and has to be/)
})

test("an existing relay's folder is adopted; what is no shared file is left alone", async t => {
  const relay = await startSharedFiles(t, { config: { maxTotalBytes: 1_000 } })
  const file = sign('n1/n2/adopted', 'hello')
  const folder = shared(relay, 'n1/files/n2')
  mkdirSync(folder, { recursive: true })
  const expires = Math.floor(relay.clock.nowMs / 1_000) + 60
  writeFileSync(join(folder, 'adopted'), file.content)
  writeFileSync(join(folder, 'adopted.metadata'), `${file.metadata}expires=${expires}\n`)
  writeFileSync(join(folder, 'stray'), 'x')
  writeFileSync(join(folder, 'odd'), 'x')
  writeFileSync(join(folder, 'odd.metadata'), 'what is this')
  writeFileSync(join(folder, 'endless'), 'x')
  writeFileSync(join(folder, 'endless.metadata'), file.metadata)
  relay.files.start()
  await until(async () => (await relay.files.status()).files === 1)
  await relay.files.stop()
  assert.equal(await relay.head(file), true)
  assert.equal((await relay.files.status()).files, 1)
  for (const name of ['stray', 'odd', 'odd.metadata', 'endless']) assert.ok(existsSync(join(folder, name)))
  relay.clock.nowMs += 61_000
  assert.equal(await relay.head(file), false)
})

/** As an existing relay writes it: the file, and metadata with `expires`. */
function replaceBy(relay: TestRelay, file: SignedBytes, expiresAtMs: number): void {
  const { target, source, fileId } = file.key
  const path = shared(relay, `${target}/files/${source}/${fileId}`)
  writeFileSync(path, file.content)
  writeFileSync(`${path}.metadata`, `${file.metadata}expires=${Math.floor(expiresAtMs / 1_000)}\n`)
}

test('what an existing relay replaced meanwhile is taken over, and lives as long as it says there', async t => {
  const config = { maxTotalBytes: 20_000 }
  const first = await startSharedFiles(t, { config })
  const [old, same] = [sign('n1/n1/f', 'hello'), sign('n1/n1/same', 'stays')]
  for (const file of [old, same]) await first.put(file, { query: { ttl: '60' } })
  await first.stop()
  const { nowMs } = first.clock
  const again = await startSharedFiles(t, { folder: first.folder, config })
  const newer = sign('n1/n1/f', Buffer.alloc(18_000, 'hallo'))
  replaceBy(again, newer, nowMs + 3_600_000)
  assert.equal(await again.head(old), true, 'known from before')
  again.files.start()
  again.clock.nowMs = nowMs + 61_000
  assert.equal(await again.files.purgeExpired(new AbortController().signal), 1, 'of the other one')
  assert.deepEqual([await again.head(old), await again.head(newer), await again.head(same)], [false, true, false])
  assert.deepEqual(readFileSync(shared(again, 'n1/files/n1/f')), newer.content)
  assert.equal((await again.files.status()).bytes, 18_000)
  await assert.rejects(again.put(sign('n1/n1/more', Buffer.alloc(3_000))), { code: 'STORAGE_FULL' }, 'the quota knows')
})

test('one of the same size that was copied there with an old date is seen as well', async t => {
  const first = await startSharedFiles(t)
  const old = sign('n1/n1/f', 'hello')
  await first.put(old)
  await first.stop()
  const again = await startSharedFiles(t, { folder: first.folder })
  const newer = sign('n1/n1/f', 'hallo')
  replaceBy(again, newer, again.clock.nowMs + 3_600_000)
  const path = shared(again, 'n1/files/n1/f')
  for (const name of [path, `${path}.metadata`]) utimesSync(name, 1_000_000, 1_000_000)
  again.db.prepare('UPDATE shared_files SET stored_at = stored_at - 3600000').run()
  again.files.start()
  await until(() => again.head(newer))
})

test('a file that was only touched, and one whose metadata says nothing, keep their rows', async t => {
  const first = await startSharedFiles(t)
  const [touched, odd] = [sign('n1/n1/touched', 'hello'), sign('n1/n1/odd', 'hello')]
  for (const file of [touched, odd]) await first.put(file, { query: { ttl: '10' } })
  await first.stop()
  const again = await startSharedFiles(t, { folder: first.folder })
  const rows = () => again.db.prepare('SELECT * FROM shared_files ORDER BY file_id').all()
  const before = rows()
  const later = new Date(Date.now() + 5_000)
  utimesSync(shared(again, 'n1/files/n1/touched'), later, later)
  writeFileSync(shared(again, 'n1/files/n1/odd.metadata'), 'what is this')
  again.files.start()
  assert.equal(await again.files.purgeExpired(new AbortController().signal), 0)
  assert.deepEqual(rows(), before)
})

test('a row whose file has gone goes at start: before the first HEAD, or soon after where there are many', async t => {
  const first = await startSharedFiles(t)
  const [gone, kept] = [sign('n1/n1/gone', 'x'), sign('n1/n1/kept', 'y')]
  for (const file of [gone, kept]) await first.put(file)
  await first.stop()
  rmSync(shared(first, 'n1/files/n1/gone'))
  const again = await startSharedFiles(t, { folder: first.folder })
  assert.deepEqual([await again.head(gone), await again.head(kept)], [false, true])
  const { files, bytes } = await again.files.status()
  assert.deepEqual([files, bytes], [1, 1])
  assert.equal(existsSync(shared(again, 'n1/files/n1/gone.metadata')), false)
  const columns = again.db.prepare("SELECT group_concat(name) FROM pragma_table_info('shared_files')").pluck().get()
  const copied = String(columns).replace('file_id', "'many-' || n")
  again.db.exec(`WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 5000)
    INSERT INTO shared_files (${columns}) SELECT ${copied} FROM shared_files, numbers`)
  await again.stop()
  const third = await startSharedFiles(t, { folder: first.folder })
  assert.ok((await third.files.status()).files > 1, 'so many do not keep the relay from being ready')
  third.files.start()
  await until(async () => (await third.files.status()).files === 1)
  assert.equal(await third.head(kept), true)
})

test('a metadata file that a power failure emptied is written again', async t => {
  const first = await startSharedFiles(t)
  await first.put(sign('n1/n1/f', 'hello'))
  await first.stop()
  const path = shared(first, 'n1/files/n1/f.metadata')
  const metadata = readFileSync(path, 'utf8')
  writeFileSync(path, '')
  const again = await startSharedFiles(t, { folder: first.folder })
  again.files.start()
  await until(() => readFileSync(path, 'utf8') !== '')
  assert.equal(readFileSync(path, 'utf8'), metadata)
})
