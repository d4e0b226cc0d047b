import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as breathe } from 'node:timers/promises'
import { sign, startSharedFiles, type TestRelay } from '../support/shared-file-relays.js'

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await breathe()
}

function shared(relay: Pick<TestRelay, 'folder'>, path = ''): string {
  return join(relay.folder, 'shared-files', path)
}

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

test('leftovers of a crash go; they were never acknowledged', async t => {
  const folder = (await startSharedFiles(t)).folder
  writeFileSync(shared({ folder }, '.incoming~/half'), 'x')
  writeFileSync(shared({ folder }, '.outbox~/01ARZ3NDEKTSV4RRFFQ69G5FAV'), 'x')
  const again = await startSharedFiles(t, { folder })
  assert.deepEqual(readdirSync(shared(again, '.incoming~')), [])
  assert.deepEqual(readdirSync(shared(again, '.outbox~')), [])
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
  await until(() => relay.files.status().files === 1)
  await relay.files.stop()
  assert.equal(await relay.head(file), true)
  assert.equal(relay.files.status().files, 1)
  for (const name of ['stray', 'odd', 'odd.metadata', 'endless']) assert.ok(existsSync(join(folder, name)))
  relay.clock.nowMs += 61_000
  assert.equal(await relay.head(file), false)
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
