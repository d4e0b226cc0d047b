import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { link, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { identityOf, isSameFile } from '../../src/file-system/files/file-identity.js'
import { rememberPlace } from '../../src/file-system/folders/same-place.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

test('a file is the same under every path, and another one of that path is not', async t => {
  const folder = await temporaryFolder(t)
  const [path, other] = [join(folder, 'file'), join(folder, 'other')]
  await writeFile(path, '')
  await writeFile(other, '')
  await link(path, `${path}.further`)
  const [found, further, another] = [path, `${path}.further`, other].map(each => statSync(each))
  assert.ok(found !== undefined)
  assert.equal(isSameFile(found, further), true)
  assert.equal(identityOf(found), identityOf(further))
  assert.equal(isSameFile(found, another), false)
  assert.notEqual(identityOf(found), identityOf(another))
  assert.equal(isSameFile(found, undefined), false)
  assert.equal(identityOf(undefined), undefined)
  const isThere = rememberPlace(path)
  assert.equal(isThere(), true)
  await rename(other, path)
  assert.equal(isThere(), false)
  await rm(path)
  assert.equal(isThere(), false)
  assert.equal(rememberPlace(path)(), false, 'there was nothing')
})
