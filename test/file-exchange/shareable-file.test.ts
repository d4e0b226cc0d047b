import assert from 'node:assert/strict'
import { chmod, chown, lchown, link, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openShareable } from '../../src/file-exchange/places/shareable-file.js'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const IS_ROOT = process.getuid?.() === 0
const ROOT = 0
/** Another user than root: the own one, where the tests are not run as root. */
const SOMEONE = IS_ROOT ? 4_242 : (process.getuid?.() ?? 0)

/** What a process of root shares with that path. */
async function read(path: string): Promise<string> {
  const { handle } = await openShareable(path, ROOT)
  try {
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}

/** A folder of another user, with the file `own` of theirs. */
async function folderOfSomeone(t: TestContext) {
  const root = await temporaryFolder(t)
  await chmod(root, 0o755)
  const folder = join(root, 'home')
  await mkdir(folder, { mode: 0o755 })
  const own = join(folder, 'own')
  await writeFile(own, 'own', { mode: 0o600 })
  if (IS_ROOT) for (const path of [folder, own]) await chown(path, SOMEONE, SOMEONE)
  return { root, folder, own }
}

test('a link in a folder of another user is not shared as root, and the file of theirs is', async t => {
  const { folder, own } = await folderOfSomeone(t)
  assert.equal(await read(own), 'own')
  const path = join(folder, 'report')
  await symlink(own, path)
  if (IS_ROOT) await lchown(path, SOMEONE, SOMEONE)
  await assert.rejects(read(path), {
    message: `${path} is not shared: ${path} is a link of user ${SOMEONE}, so that it could lead to a file that is not meant; name a file in a folder of root's, or run treeline as its owner`
  })
  const { handle } = await openShareable(path, SOMEONE)
  await handle.close()
})

test('in a folder that others may write, root shares only what everyone may read', async t => {
  const { folder, own } = await folderOfSomeone(t)
  for (const mode of [0o777, 0o775]) {
    await chmod(folder, mode)
    await chmod(own, 0o600)
    await assert.rejects(read(own), /others than its owner may write in the folder .*home, and the file is not open to/)
    await chmod(own, 0o604)
    assert.equal(await read(own), 'own')
  }
  await assert.rejects(
    read(join(folder, 'none', 'file')),
    /none\/file cannot be read: there is no folder .*none; check/
  )
})

test('a further name of a file in a folder such as /tmp is not shared as root', async t => {
  const { folder, own } = await folderOfSomeone(t)
  await chmod(folder, 0o1777)
  assert.equal(await read(own), 'own')
  await link(own, join(folder, 'further'))
  await assert.rejects(
    read(join(folder, 'further')),
    /others may write in the folder .*home, and the file has a further/
  )
})

testAsRoot('as root: what is in a folder of another user is theirs, or open to everyone', async t => {
  const { root, folder } = await folderOfSomeone(t)
  const secret = join(root, 'secret')
  await writeFile(secret, 'secret', { mode: 0o600 })
  await link(secret, join(folder, 'hard'))
  await assert.rejects(read(join(folder, 'hard')), /home belongs to user 4242, and the file is neither theirs nor open/)
  await mkdir(join(folder, 'private'), { mode: 0o700 })
  await writeFile(join(folder, 'private', 'file'), 'open', { mode: 0o644 })
  await assert.rejects(read(join(folder, 'private', 'file')), /, and the folder .*private is neither theirs nor open/)
  await chmod(join(folder, 'private'), 0o755)
  assert.equal(await read(join(folder, 'private', 'file')), 'open')
})

testAsRoot("as root: links of root's are followed, but not below a folder of another user", async t => {
  const { root, folder } = await folderOfSomeone(t)
  await writeFile(join(root, 'file'), "root's", { mode: 0o600 })
  await symlink('file', join(root, 'current'))
  assert.equal(await read(join(root, 'current')), "root's")
  await symlink(root, join(folder, 'up'))
  await assert.rejects(read(join(folder, 'up', 'file')), /up is a link, and the folder .*home belongs to user 4242/)
  await rm(join(root, 'current'))
  await symlink('home', join(root, 'current'))
  await lchown(join(root, 'current'), SOMEONE, SOMEONE)
  await assert.rejects(read(join(root, 'current', 'own')), /current is a link of user 4242/)
})
