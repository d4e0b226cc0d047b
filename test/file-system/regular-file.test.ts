import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readRegularFile, readRegularFileSync } from '../../src/file-system/files/regular-file.js'
import { makeFifo } from '../support/machine/make-fifo.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

test('a regular file is read, and nothing else, at once', async t => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'file')
  await writeFile(file, 'content')
  assert.equal((await readRegularFile(file)).toString(), 'content')
  assert.equal(readRegularFileSync(file).toString(), 'content')
  const fifo = join(folder, 'fifo')
  await makeFifo(fifo)
  for (const [path, message] of [
    [fifo, 'it is a FIFO; name a file'],
    [folder, 'it is a folder; name a file'],
    ['/dev/null', 'it is a device; name a file']
  ] as const) {
    await assert.rejects(readRegularFile(path), { message })
    assert.throws(() => readRegularFileSync(path), { message })
  }
  await assert.rejects(readRegularFile(join(folder, 'none')), { code: 'ENOENT' })
  assert.throws(() => readRegularFileSync(join(folder, 'none')), { code: 'ENOENT' })
})
