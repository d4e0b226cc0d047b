import assert from 'node:assert/strict'
import { userInfo } from 'node:os'
import { test } from 'node:test'
import { groupIdOf, groupsOf, userIdOf } from '../../src/values/permissions/system-users.js'

test('a user and their groups are known by the numbers that the system has for them', () => {
  const { uid, gid, username } = userInfo()
  assert.equal(userIdOf(username), uid)
  assert.equal(groupIdOf(username), gid)
  assert.ok(groupsOf(uid).includes(gid))
  assert.equal(userIdOf('no-such-user'), undefined)
  assert.equal(groupIdOf('no-such-user'), undefined)
})
