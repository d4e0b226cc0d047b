import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { findGroups, groupIdOf, groupsOf, userIdOf } from '../../src/file-system/permissions/system-users.js'
import { temporaryFolder } from '../support/parts/neighbours.js'

test('a user and their groups are known by the numbers that the system has for them', () => {
  const { uid, gid, username } = userInfo()
  assert.equal(userIdOf(username), uid)
  assert.equal(groupIdOf(username), gid)
  assert.ok(groupsOf(uid).includes(gid))
  assert.equal(userIdOf('no-such-user'), undefined)
  assert.equal(groupIdOf('no-such-user'), undefined)
})

test('a system that names nobody, without an error, gives nobody the number of root', async t => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'id'), '#!/bin/sh\nexit 0\n', { mode: 0o755 })
  const before = process.env.PATH
  process.env.PATH = folder
  t.after(() => {
    process.env.PATH = before
  })
  assert.equal(userIdOf('somebody'), undefined)
  assert.equal(groupIdOf('somebody'), undefined)
  assert.deepEqual(groupsOf(1), [])
  assert.deepEqual(await findGroups(1), [])
})
