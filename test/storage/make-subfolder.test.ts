import assert from 'node:assert/strict'
import { lchownSync, lstatSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { holdSubfolder, makeSubfolder } from '../../src/storage/folders/make-subfolder.js'
import { temporaryFolder } from '../support/parts/neighbours.js'

const SOMEBODY = 54_321
const ROOT = 0

test('a folder is made once, and never the one above it', async t => {
  const folder = await temporaryFolder(t)
  for (const _ of ['made', 'there']) await makeSubfolder(join(folder, 'runs'), 0o700)
  assert.equal(lstatSync(join(folder, 'runs')).mode & 0o777, 0o700)
  await assert.rejects(makeSubfolder(join(folder, 'away/runs')), { code: 'ENOENT' })
})

test('a link in its place is good when it is of root or of the same user', async t => {
  const folder = await temporaryFolder(t)
  const [path, elsewhere] = [join(folder, 'runs'), join(folder, 'elsewhere')]
  mkdirSync(elsewhere)
  symlinkSync(elsewhere, path)
  await makeSubfolder(path)
  await (await holdSubfolder(path)).close()
  // Root can give the link away; any other user's own one is somebody else's for others.
  const isRoot = process.geteuid?.() === ROOT
  if (isRoot) lchownSync(path, SOMEBODY, SOMEBODY)
  const message = `${path} is a symbolic link of user ${lstatSync(path).uid}, and is not followed; remove it`
  const euid = isRoot ? ROOT : SOMEBODY
  await assert.rejects(makeSubfolder(path, 0o700, euid), { code: 'STORAGE_UNUSABLE', message })
  await assert.rejects(holdSubfolder(path, euid), { code: 'STORAGE_UNUSABLE', message })
})
