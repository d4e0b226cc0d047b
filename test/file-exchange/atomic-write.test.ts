import assert from 'node:assert/strict'
import { chmod, chown, mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { replaceWithUndo } from '../../src/file-exchange/atomic-write.js'
import { FilePlace } from '../../src/file-exchange/places/file-place.js'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const SERVICE = 65_534
const OTHER = 65_533

async function place(folder: string, mode: number, uid: number, gid: number): Promise<string> {
  const path = join(folder, 'nodes.json')
  await writeFile(path, 'former')
  await chown(path, uid, gid)
  await chmod(path, mode)
  return path
}

async function replaced(path: string): Promise<readonly number[]> {
  await (await replaceWithUndo(path, 'new')).keep()
  const { uid, gid, mode } = await stat(path)
  return [uid, gid, mode & 0o777]
}

testAsRoot('root leaves a file that it replaces to its owner, group and mode, as a service reads it', async t => {
  const folder = await temporaryFolder(t)
  assert.deepEqual(await replaced(await place(folder, 0o640, 0, SERVICE)), [0, SERVICE, 0o640])
  assert.deepEqual(await replaced(await place(folder, 0o600, SERVICE, SERVICE)), [SERVICE, SERVICE, 0o600])
  const undone = await place(folder, 0o640, SERVICE, OTHER)
  await (await replaceWithUndo(undone, 'new')).undo()
  const { uid, gid } = await stat(undone)
  assert.deepEqual([uid, gid], [SERVICE, OTHER])

  const theirs = join(folder, 'theirs')
  await mkdir(theirs)
  await chown(theirs, SERVICE, SERVICE)
  assert.deepEqual(await replaced(await place(theirs, 0o600, SERVICE, SERVICE)), [SERVICE, SERVICE, 0o600])
  assert.deepEqual(await replaced(await place(theirs, 0o600, OTHER, OTHER)), [0, 0, 0o600], 'whoever put it there')
  await chown(theirs, 0, 0)
  await chmod(theirs, 0o1777)
  assert.deepEqual(await replaced(await place(theirs, 0o644, OTHER, OTHER)), [0, 0, 0o644])
})

test('a file in the place of a folder on the way is named as what it is', async t => {
  const path = join(await temporaryFolder(t), 'file')
  await writeFile(path, 'content')
  for (const trust of [undefined, { uid: process.geteuid?.() ?? 0, owner: undefined }]) {
    const says = `${path}/new cannot be written: ${path} is a file, not a folder; check the path`
    await assert.rejects(FilePlace.open(join(path, 'new'), trust), { message: says })
  }
})
