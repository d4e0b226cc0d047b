import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  readConfiguredText,
  readConfiguredTextSync,
  readTextFile,
  readTextFileOrPipe,
  readTextFileSync
} from '../../src/file-system/files/text-file.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

test('a text is read without the mark that some editors put before it, and not in UTF-16', async t => {
  const path = join(await temporaryFolder(t), 'file')
  await writeFile(path, '\uFEFFgrüße')
  for (const read of [readTextFile, readTextFileOrPipe, readTextFileSync]) assert.equal(await read(path), 'grüße')
  await writeFile(path, Buffer.from('text', 'utf16le'))
  for (const read of [readTextFile, readTextFileOrPipe]) await assert.rejects(read(path), /it is in UTF-16/)
  assert.throws(() => readTextFileSync(path), /it is in UTF-16/)
  await assert.rejects(readTextFile(`${path}.none`), { code: 'ENOENT' })
})

test('a text that a setting names is read, or the setting, the file and what to do are named', async t => {
  const path = join(await temporaryFolder(t), 'file')
  const refusal = { message: `tree.ca_file ${path} cannot be read: there is no such file; check the path` }
  await assert.rejects(readConfiguredText('tree.ca_file', path), refusal)
  assert.throws(() => readConfiguredTextSync('tree.ca_file', path), refusal)
  await writeFile(path, 'text')
  assert.equal(await readConfiguredText('tree.ca_file', path), 'text')
  assert.equal(readConfiguredTextSync('tree.ca_file', path), 'text')
})
