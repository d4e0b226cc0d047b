import assert from 'node:assert/strict'
import {
  chmod,
  chown,
  lchown,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile
} from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { replaceWithUndo } from '../../src/file-exchange/atomic-write.js'
import { cannotBeWritten, FilePlace } from '../../src/file-exchange/places/file-place.js'
import { findPlace } from '../../src/file-exchange/places/named-place.js'
import { type Attributes, NewFile } from '../../src/file-exchange/places/new-file.js'
import type { FolderTrust } from '../../src/file-exchange/places/trusted-folder.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const SELF = process.getuid?.() ?? 0
const IS_ROOT = SELF === 0
const SOMEONE = { uid: 4_242, gid: 4_243 }

async function write(path: string, content: string, trust?: FolderTrust, attributes?: Attributes): Promise<void> {
  const place = await FilePlace.open(path, trust)
  try {
    const file = await NewFile.create(place, false)
    await file.handle.writeFile(content)
    await file.putInPlace(attributes)
  } finally {
    await place.close()
  }
}

/**
 * A folder of someone else's, for a process with the trust that is returned. Root gives one away. Without root, the own
 * user stands for the other one: it is left out of the trust.
 */
async function folderOfSomeone(t: TestContext) {
  const own = await temporaryFolder(t)
  await chmod(own, 0o755)
  const folder = IS_ROOT ? join(own, 'home') : own
  if (IS_ROOT) await mkdir(folder, { mode: 0o755 })
  if (IS_ROOT) await chown(folder, SOMEONE.uid, SOMEONE.gid)
  const { uid, gid } = await stat(folder)
  return { folder, trust: { uid: IS_ROOT ? 0 : SELF + 1 }, someone: { uid, gid } }
}

test('a folder of somebody else is refused, unless the file is for them', async t => {
  const { folder, trust, someone } = await folderOfSomeone(t)
  const path = join(folder, 'file')
  const refusal = { message: new RegExp(`file is not written: the folder ${folder} belongs to user ${someone.uid}`) }
  await assert.rejects(write(path, 'x', trust), refusal)
  await assert.rejects(write(path, 'x', { ...trust, owner: { uid: someone.uid + 1, gid: someone.gid } }), refusal)
  assert.deepEqual(await readdir(folder), [])
  const attributes = { mode: 0o640, owner: someone }
  await write(path, 'theirs', { ...trust, owner: someone }, attributes)
  const { uid, gid, mode } = await stat(path)
  assert.deepEqual([uid, gid, mode & 0o7777], [someone.uid, someone.gid, 0o640])
})

test('below a folder of theirs no link is followed, and nothing is written into what is not theirs', async t => {
  const { folder, trust, someone } = await folderOfSomeone(t)
  const elsewhere = await temporaryFolder(t)
  const theirs = { ...trust, owner: someone }
  await writeFile(join(elsewhere, 'shadow'), 'secret')
  await symlink(elsewhere, join(folder, 'conf'))
  await symlink(join(elsewhere, 'shadow'), join(folder, 'file'))
  await assert.rejects(write(join(folder, 'conf', 'shadow'), 'x', theirs), /conf is a link of user/)
  await assert.rejects(write(join(folder, 'file'), 'x', theirs), /file is a link of user/)
  await assert.rejects(write(join(folder, 'none', 'file'), 'x', theirs), /there is no folder .*none; create it/)
  assert.equal(await readFile(join(elsewhere, 'shadow'), 'utf8'), 'secret')
  if (!IS_ROOT) return // a folder that is not theirs takes root
  await mkdir(join(folder, 'of-root'))
  await assert.rejects(write(join(folder, 'of-root', 'file'), 'x', theirs), /of-root belongs to user 0/)
})

test('a folder that others may write is refused, but for one where each can change only what is theirs', async t => {
  const own = await temporaryFolder(t)
  const folder = join(own, 'shared')
  await mkdir(folder)
  const trust = { uid: SELF }
  await chmod(folder, 0o777)
  await assert.rejects(write(join(folder, 'file'), 'x', trust), /everyone may write in the folder .*shared/)
  await chmod(folder, 0o1777)
  await write(join(folder, 'file'), 'in a folder such as /tmp', trust)
  const { gid } = await stat(folder)
  await chmod(folder, 0o775)
  if (gid === 0) await chown(folder, 0, SOMEONE.gid)
  await assert.rejects(write(join(folder, 'file'), 'x', trust), /group \d+ may write in the folder .*shared/)
  await write(join(folder, 'file'), 'for that group', { ...trust, owner: { uid: SELF, gid: (await stat(folder)).gid } })
  await chmod(own, 0o770)
  if (gid === 0) await chown(own, 0, SOMEONE.gid)
  const ofGroup = { ...trust, owner: { uid: SELF + 1, gid: (await stat(own)).gid } }
  await assert.rejects(write(join(folder, 'file'), 'x', ofGroup), /group \d+ may write in the folder/)
})

test("as root: a folder that root's own group may write is refused, as its bits may stand for an access control list", async t => {
  if (!IS_ROOT) return // a folder of root's group takes root
  const own = await temporaryFolder(t)
  const folder = join(own, 'shared')
  await mkdir(folder)
  await chmod(folder, 0o775)
  const refusal = /group 0 may write in the folder .*shared/
  await assert.rejects(write(join(folder, 'file'), 'x', { uid: 0 }), refusal)
  await assert.rejects(write(join(folder, 'file'), 'x', { uid: 0, owner: { uid: 0, gid: 0 } }), refusal)
  await assert.rejects(write(join(folder, 'file'), 'x', { uid: 0, owner: { ...SOMEONE, gid: 0 } }), refusal)
  assert.deepEqual(await readdir(folder), [])
})

test('links of our own are followed, in the middle and at the end', async t => {
  const own = await temporaryFolder(t)
  await mkdir(join(own, 'a', 'b'), { recursive: true })
  await symlink('a/../a/b', join(own, 'relative'))
  await symlink(join(own, 'relative', 'real'), join(own, 'absolute'))
  await write(join(own, 'absolute'), 'through two links', { uid: SELF })
  assert.equal(await readFile(join(own, 'a', 'b', 'real'), 'utf8'), 'through two links')
  assert.equal((await lstat(join(own, 'absolute'))).isSymbolicLink(), true)
  await symlink('loop', join(own, 'loop'))
  await assert.rejects(
    write(join(own, 'loop'), 'x', { uid: SELF }),
    /loop cannot be written: its symbolic links lead round/
  )
  await assert.rejects(write(join(own, 'loop'), 'x'), /loop cannot be written: its symbolic links lead round/)
  if (!IS_ROOT) return // a link of somebody else's takes root
  await lchown(join(own, 'absolute'), SOMEONE.uid, SOMEONE.gid)
  await assert.rejects(write(join(own, 'absolute'), 'x', { uid: 0 }), /absolute is a link of user 4242/)
  await assert.rejects(
    write(join(own, 'absolute'), 'x'),
    /absolute is a symbolic link of user 4242 and is not followed/
  )
})

test('what root names is reached by no link of another user, in the middle of the path neither', async t => {
  const own = await temporaryFolder(t)
  const folder = join(own, 'home')
  await mkdir(join(own, 'safe'))
  await mkdir(folder)
  await writeFile(join(own, 'safe', 'victim'), 'former')
  await symlink(join(own, 'safe'), join(folder, 'dl'))
  const path = join(folder, 'dl', 'victim')
  if (IS_ROOT) {
    await write(path, 'by a link of root', undefined)
    assert.equal(await readFile(join(own, 'safe', 'victim'), 'utf8'), 'by a link of root')
    await symlink('nowhere', join(folder, 'dangling'))
    await assert.rejects(
      write(join(folder, 'dangling'), 'x'),
      /dangling is a symbolic link to nowhere, which is not there/
    )
    await symlink(folder, join(own, 'way'))
    await assert.rejects(
      write(join(own, 'way', 'dangling'), 'x'),
      /dangling is a symbolic link to nowhere, which is not/
    )
    for (const theirs of [folder, join(folder, 'dl')]) await lchown(theirs, SOMEONE.uid, SOMEONE.gid)
    await write(join(folder, 'file'), 'in a folder of theirs')
  } else {
    await write(path, 'by a link of our own', undefined)
  }
  const refusal = new RegExp(
    `victim cannot be written: .*dl is a symbolic link of user \\d+ and is not followed; name the folder that it leads to: ${own}/safe`
  )
  await assert.rejects(findPlace(path, 0), refusal)
  if (IS_ROOT) await assert.rejects(write(path, 'x'), refusal)
})

test('as root: a former file of another user gives root no mode, and takes away what it kept from others', async t => {
  if (!IS_ROOT) return // files of other users take root
  const own = await temporaryFolder(t)
  const path = join(own, 'file')
  const modeAfter = async (former: number, attributes?: Attributes, uid = SOMEONE.uid) => {
    await writeFile(path, 'former')
    await chown(path, uid, SOMEONE.gid)
    await chmod(path, former)
    await write(path, 'new', undefined, attributes)
    return (await stat(path)).mode & 0o7777
  }
  assert.equal((await modeAfter(0o666)) & 0o022, 0, 'nobody but root may write to it')
  assert.equal(await modeAfter(0o666, { defaultMode: 0o644 }), 0o644)
  assert.equal(await modeAfter(0o600, { defaultMode: 0o644 }), 0o600)
  assert.equal(await modeAfter(0o400), 0o600)
  assert.equal(await modeAfter(0o662, { owner: SOMEONE, defaultMode: 0o644 }), 0o662, 'that of whom it is for counts')
  assert.equal(await modeAfter(0o660, { defaultMode: 0o644 }, 0), 0o660, "that of root's counts")
})

test('a new file takes no name that is in use already, and is private from the start where it is to be', async t => {
  const own = await temporaryFolder(t)
  const place = await FilePlace.open(join(own, 'file'))
  t.after(() => place.close())
  await writeFile(join(own, 'victim'), 'victim')
  await symlink('victim', join(own, 'link'))
  await symlink('nothing', join(own, 'dangling'))
  for (const name of ['victim', 'link', 'dangling']) {
    await assert.rejects(NewFile.create(place, true, name), { code: 'EEXIST' })
  }
  assert.deepEqual((await readdir(own)).sort(), ['dangling', 'link', 'victim'])
  const file = await NewFile.create(place, true)
  assert.equal((await file.handle.stat()).mode & 0o777, 0o600)
  await file.discard()
})

test('whatever gets the name of the new file before it is in place gets neither its owner nor its mode, and is told', async t => {
  const own = await temporaryFolder(t)
  await writeFile(join(own, 'victim'), 'victim', { mode: 0o600 })
  const place = await FilePlace.open(join(own, 'file'))
  t.after(() => place.close())
  const file = await NewFile.create(place, true, 'new~')
  await rm(join(own, 'new~'))
  await symlink('victim', join(own, 'new~'))
  const owner = IS_ROOT ? SOMEONE : { uid: SELF, gid: process.getgid?.() ?? 0 }
  await assert.rejects(file.putInPlace({ mode: 0o666, owner }), /file was replaced by somebody else while it was put/)
  const { uid, mode } = await stat(join(own, 'victim'))
  assert.deepEqual([uid, mode & 0o777], [SELF, 0o600])
})

test('a folder that is replaced by a link to another one stays the place; the new file is private, and only permissions are copied', async t => {
  const own = await temporaryFolder(t)
  const [folder, victim] = [join(own, 'folder'), join(own, 'victim')]
  for (const path of [folder, victim]) {
    await mkdir(path)
    await writeFile(join(path, 'file'), 'former')
    await chmod(join(path, 'file'), 0o4755)
  }
  const place = await FilePlace.open(join(folder, 'file'))
  await rename(folder, join(own, 'moved'))
  await symlink(victim, folder)
  const file = await NewFile.create(place, false)
  assert.equal((await file.handle.stat()).mode & 0o7777, 0o600)
  await file.handle.writeFile('new')
  await file.putInPlace()
  await place.close()
  assert.equal(await readFile(join(victim, 'file'), 'utf8'), 'former')
  assert.equal(await readFile(join(own, 'moved', 'file'), 'utf8'), 'new')
  assert.equal((await stat(join(own, 'moved', 'file'))).mode & 0o7777, 0o755, 'no set-user-id')
})

test('what is put in place can be undone, through a link as well', async t => {
  const own = await temporaryFolder(t)
  await mkdir(join(own, 'real'))
  const path = join(own, 'list')
  await symlink('real/list', path)
  await writeFile(join(own, 'real', 'list'), 'former', { mode: 0o600 })
  await (await replaceWithUndo(path, 'new')).undo()
  assert.equal(await readFile(path, 'utf8'), 'former')
  await (await replaceWithUndo(path, 'new')).keep()
  assert.equal(await readFile(path, 'utf8'), 'new')
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.equal((await lstat(path)).isSymbolicLink(), true)
  assert.deepEqual(await readdir(join(own, 'real')), ['list'])
  await assert.rejects(replaceWithUndo(own, 'x'), /is a folder; name a file in it/)
})

test('a path that cannot be written is named as it was given, and by no name of a held folder', () => {
  const text = "EIO: i/o error, rename '/proc/self/fd/21/.got.5ae5~' -> '/proc/self/fd/21/got'"
  const error = cannotBeWritten('/srv/got', Object.assign(new Error(text), { code: 'EIO' }))
  assert.equal(error.message, '/srv/got cannot be written: EIO: i/o error, rename')
})
