import assert from 'node:assert/strict'
import { mkdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeFolder, obstacleTo } from '../../src/file-system/folders/make-folder.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

test('a folder is made with all that is missing above it, and nobody else may look into them', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'a/b/c')
  makeFolder(path)
  makeFolder(path) // it is there already
  for (const name of ['d/e/f', 'd/e/g']) makeFolder(join(folder, name))
  for (const made of ['a', 'a/b', 'a/b/c', 'd/e/f', 'd/e/g']) {
    const found = await stat(join(folder, made))
    assert.ok(found.isDirectory())
    assert.equal(found.mode & 0o007, 0, made)
  }
})

test('a folder behind a link is taken as it is', async t => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'real'))
  await symlink('real', join(folder, 'link'))
  makeFolder(join(folder, 'link/a'))
  assert.ok((await stat(join(folder, 'real/a'))).isDirectory())
})

test('what cannot be made is named, with what is in its place: a file, a link to nothing, or a link to a file', async t => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'file'), '')
  await symlink('nothing', join(folder, 'link'))
  await symlink('file', join(folder, 'link-to-file'))
  await symlink('round', join(folder, 'round'))
  for (const [name, why] of [
    ['file', 'there is a file of that name'],
    ['link', 'it is a symbolic link to nothing, where there is no folder'],
    ['link-to-file', 'it is a symbolic link to file, where there is no folder'],
    ['round', 'it is a symbolic link to round, where there is no folder']
  ] as const) {
    const says = `the folder ${join(folder, name)} cannot be made: ${why}`
    for (const path of [join(folder, name), join(folder, name, 'a/b')]) {
      assert.equal(obstacleTo(path), says)
      assert.throws(() => makeFolder(path), { message: `${says}; choose another one, or make it yourself` })
    }
  }
  for (const path of [folder, join(folder, 'new/a')]) assert.equal(obstacleTo(path), undefined)
})
