import assert from 'node:assert/strict'
import { chmod, chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findExcluded, UserGroups } from '../../src/values/permissions/path-writers.js'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const SOMEBODY = 65_534
const THEIR_GROUP = 65_533

testAsRoot('the groups of a user are looked up once for all files that a configuration names', async t => {
  const folder = await temporaryFolder(t)
  await chmod(folder, 0o755)
  const asked: number[] = []
  const groups = new UserGroups(uid => {
    asked.push(uid)
    return [THEIR_GROUP]
  })
  const writers = [folder, join(folder, 'conf')].map(path => ({ uid: SOMEBODY, path }))
  for (const name of ['a', 'b', 'c']) {
    const path = join(folder, name)
    await writeFile(path, '', { mode: 0o640 })
    await chown(path, 0, THEIR_GROUP)
    assert.equal(findExcluded(path, writers, groups), undefined)
  }
  assert.deepEqual(asked, [SOMEBODY])
})
