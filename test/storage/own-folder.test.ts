import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { sharedFilesFolder, storageFolder, takeFolders } from '../../src/storage/own-folder.js'
import { temporaryFolder } from '../support/treeline-command.js'

test('a folder that is taken is refused to another one, which then holds nothing', async t => {
  const folder = await temporaryFolder(t)
  const files = sharedFilesFolder(join(folder, 'shared-files'))
  const one = storageFolder(join(folder, 'one'), 0o750)
  const two = storageFolder(join(folder, 'two'), 0o750)
  const release = takeFolders('root', [one, files])
  assert.deepEqual(readdirSync(files.path), ['.lock~', '.node-id~'])
  assert.throws(
    () => takeFolders('root', [two, files]),
    /another Treeline is running with shared_files.path = .*shared-files/
  )
  assert.throws(() => takeFolders('root', [one]), /another Treeline is running with storage.path = .*one/)
  const other = takeFolders('root', [two])
  other()
  release()
  takeFolders('root', [two, files])()
})

test('a folder of another node is refused, until it is given up', async t => {
  const path = join(await temporaryFolder(t), 'storage')
  const folder = storageFolder(path, 0o700)
  takeFolders('node-1', [folder])()
  assert.throws(
    () => takeFolders('node-2', [folder]),
    new RegExp(`storage.path = ${path} belongs to the node node-1, and this one is node-2: .* remove ${path}/node-id`)
  )
  takeFolders('node-1', [folder])() // it is not held by who was refused
  writeFileSync(join(path, 'node-id'), '') // as a power cut leaves it
  takeFolders('node-2', [folder])()
  assert.equal(readFileSync(join(path, 'node-id'), 'utf8'), 'node-2\n')
  rmSync(join(path, 'node-id'))
  symlinkSync('elsewhere', join(path, 'node-id'))
  assert.throws(() => takeFolders('node-2', [folder]), /ELOOP/)
})

test('what is no lock in the place of one is named, and may be removed', async t => {
  const path = join(await temporaryFolder(t), 'storage')
  const folder = storageFolder(path, 0o700)
  takeFolders('node-1', [folder])()
  const lock = join(path, 'lock.db')
  writeFileSync(lock, 'nothing of the kind')
  const said = (what: string) =>
    new RegExp(`^Error: storage.path = ${path}: ${lock} ${what}: remove it, it is made anew`)
  assert.throws(() => takeFolders('node-1', [folder]), said('is no lock'))
  rmSync(lock)
  mkdirSync(lock)
  assert.throws(() => takeFolders('node-1', [folder]), said('is a folder'))
  rmSync(lock, { recursive: true })
  takeFolders('node-1', [folder])()
})
