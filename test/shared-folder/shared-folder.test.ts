import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import fs, { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createSharedFolder } from '../../src/shared-folder/shared-folder.js'

const HOUR_AGO = new Date(Date.now() - 3_600_000)

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function setUp(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'treeline-folder-'))
  const opened = t.mock.method(fs, 'createReadStream').mock
  syncBuiltinESMExports()
  t.after(() => {
    opened.restore()
    syncBuiltinESMExports()
    rmSync(root, { recursive: true })
  })
  return { folder: createSharedFolder(root), file: join(root, 'f'), reads: () => opened.callCount() }
}

test('a file is read once, whoever asks and however often, and again when it is another one', async t => {
  const { folder, file, reads } = setUp(t)
  writeFileSync(file, 'one')
  const many = await Promise.all(Array.from({ length: 50 }, () => folder.hash('f', 'sha256')))
  assert.deepEqual([...new Set(many)], [sha256('one')])
  assert.equal(await folder.hash('f', 'sha256'), sha256('one'))
  assert.equal(reads(), 1)

  writeFileSync(`${file}.new`, 'two') // of the same size and date
  for (const path of [file, `${file}.new`]) utimesSync(path, HOUR_AGO, HOUR_AGO)
  assert.equal(await folder.hash('f', 'sha256'), sha256('one'))
  renameSync(`${file}.new`, file)
  assert.equal(await folder.hash('f', 'sha256'), sha256('two'))
  assert.equal(reads(), 3)
  assert.equal((await folder.hash('f', 'sha512')).length, 128)
  assert.equal(reads(), 4)
})

test('a file that cannot be read fails each time, and nothing of it is kept', async t => {
  const { folder, file } = setUp(t)
  writeFileSync(file, 'x')
  const failing = t.mock.method(fs, 'createReadStream', () => {
    throw new Error('cannot be read')
  })
  syncBuiltinESMExports()
  await assert.rejects(folder.hash('f', 'sha256'), /cannot be read/)
  failing.mock.restore()
  syncBuiltinESMExports()
  assert.equal(await folder.hash('f', 'sha256'), sha256('x'))
  await assert.rejects(folder.hash('g', 'sha256'), { code: 'NOT_FOUND' })
  await assert.rejects(folder.hash('../f', 'sha256'), { code: 'INVALID_INPUT' })
})
