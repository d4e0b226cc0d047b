import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { chmod, chown, mkdir, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findExcluded, UserGroups, writersOfOpened } from '../../src/file-system/permissions/path-writers.js'
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

testAsRoot('who may change what is open is found, whatever takes its name meanwhile', async t => {
  const folder = await realpath(await temporaryFolder(t))
  await chmod(folder, 0o755)
  const [theirs, ours] = [join(folder, 'theirs'), join(folder, 'ours')]
  for (const each of [theirs, ours]) await mkdir(each)
  const path = join(theirs, 'main.conf')
  for (const file of [path, join(ours, 'main.conf')]) await writeFile(file, '')
  for (const each of [theirs, path]) await chown(each, SOMEBODY, THEIR_GROUP)
  const fd = openSync(path, 'r')
  t.after(() => closeSync(fd))
  const writers = () => writersOfOpened(fd).map(({ uid, path: at }) => [uid, at])
  const expected = [theirs, path].reverse().map(each => [SOMEBODY, each])
  assert.deepEqual(writers(), expected)
  await rm(path)
  assert.deepEqual(writers(), expected, 'removed')
  await symlink(join(ours, 'main.conf'), path)
  assert.deepEqual(writers(), expected, 'replaced by a link to a file of root')
  await rename(theirs, `${theirs}.moved`)
  await symlink(ours, theirs)
  assert.deepEqual(
    writers().map(([uid]) => uid),
    [SOMEBODY, SOMEBODY],
    'with its folder'
  )
  const ofRoot = openSync(join(ours, 'main.conf'), 'r')
  t.after(() => closeSync(ofRoot))
  assert.deepEqual(writersOfOpened(ofRoot), [])
})
