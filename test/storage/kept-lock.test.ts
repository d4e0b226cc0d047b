import assert from 'node:assert/strict'
import { existsSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { storageFolder } from '../../src/storage/folders/folder-kinds.js'
import { keepLocked } from '../../src/storage/folders/kept-lock.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

/** Longer than the time between two looks. */
const A_LOOK_MS = 10_001

test('a lock is kept through a time in which its folder cannot be looked at', async t => {
  const path = join(await temporaryFolder(t), 'storage')
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] })
  const folder = storageFolder(path, 0o700)
  t.after(keepLocked(folder, () => assert.fail('no other process has it')))
  const lock = join(path, folder.lockName)

  renameSync(path, `${path}.aside`)
  symlinkSync(path, path) // a look fails: ELOOP, as EACCES, EIO or ESTALE do
  t.mock.timers.tick(A_LOOK_MS)
  rmSync(path)
  renameSync(`${path}.aside`, path)
  t.mock.timers.tick(A_LOOK_MS)
  assert.ok(existsSync(lock))

  rmSync(lock)
  t.mock.timers.tick(A_LOOK_MS)
  assert.ok(existsSync(lock), 'it is made anew')
})
