import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { chmod, chown, lchown, link, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { openUnmisled } from '../../src/file-system/files/foreign-links.js'
import { readFileOrPipe, readRegularFile, readRegularFileSync } from '../../src/file-system/files/regular-file.js'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const ROOT = 0
const SOMEBODY = 65_534

testAsRoot('root reads through no link of another user what they may not read, by whatever way', async t => {
  const folder = await temporaryFolder(t)
  await chmod(folder, 0o755)
  const [theirs, ours] = [join(folder, 'theirs'), join(folder, 'ours')]
  for (const each of [theirs, ours]) await mkdir(each)
  const secret = join(ours, 'secret')
  await writeFile(secret, 'of root', { mode: 0o600 })
  const at = (name: string) => join(theirs, name)
  for (const [name, target] of [
    ['file', secret],
    ['relative', '../ours/secret'],
    ['folder', ours],
    ['further', 'file']
  ] as const) {
    await symlink(target, at(name))
    await lchown(at(name), SOMEBODY, SOMEBODY)
  }
  const ways = [at('file'), at('relative'), at('folder/secret'), at('further')]
  for (const path of ways) {
    const refusal =
      /theirs\/\w+ is a symbolic link of user 65534, and leads to a file that is neither theirs nor readable by everyone/
    await assert.rejects(readRegularFile(path), refusal)
    await assert.rejects(readFileOrPipe(path), refusal)
    assert.throws(() => readRegularFileSync(path), refusal)
  }
  await chmod(secret, 0o644)
  for (const path of ways) assert.equal((await readRegularFile(path)).toString(), 'of root', 'what everyone may read')
  await chmod(ours, 0o700)
  for (const path of ways) assert.throws(() => readRegularFileSync(path), /is a symbolic link of user 65534/)
  await chmod(ours, 0o755)
  await chmod(secret, 0o600)
  await chown(secret, SOMEBODY, SOMEBODY)
  for (const path of ways) assert.equal(readRegularFileSync(path).toString(), 'of root', 'what is theirs')
})

testAsRoot('nor by a further name that another user made of a file', async t => {
  const folder = await temporaryFolder(t)
  await chmod(folder, 0o755)
  const [theirs, secret] = [join(folder, 'theirs'), join(folder, 'secret')]
  await mkdir(theirs)
  await writeFile(secret, 'of root', { mode: 0o600 })
  await link(secret, join(theirs, 'key'))
  assert.equal(readRegularFileSync(join(theirs, 'key')).toString(), 'of root', 'in a folder of its own')
  await chown(theirs, SOMEBODY, SOMEBODY)
  assert.throws(() => readRegularFileSync(join(theirs, 'key')), /key is a further name of a file that user 65534/)
})

test('links of root, and of a user to their own files, lead on; errors name the path that was given', async t => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'of'))
  await writeFile(join(folder, 'of/file'), 'content')
  await symlink('of', join(folder, 'way'))
  await symlink('../way/./file', join(folder, 'of/link'))
  const path = join(folder, 'way/link')
  assert.equal(readRegularFileSync(path).toString(), 'content')
  closeSync(openUnmisled(path, 0, ROOT)) // as root it is found, whoever runs this
  await mkdir(join(folder, 'of/deep'))
  await symlink('of/deep', join(folder, 'deep'))
  for (const given of [`${join(folder, 'deep')}/../file`, `${relative(process.cwd(), folder)}/deep/../file`]) {
    closeSync(openUnmisled(given, 0, ROOT)) // where the system would find it, too
    assert.equal(readRegularFileSync(given).toString(), 'content')
  }
  await symlink('round', join(folder, 'round'))
  for (const [name, code] of [
    ['none', 'ENOENT'],
    ['of/file/below', 'ENOTDIR'],
    ['round', 'ELOOP']
  ] as const) {
    const given = join(folder, name)
    assert.throws(() => openUnmisled(given, 0, ROOT), { code })
    if (code !== 'ELOOP') assert.throws(() => openUnmisled(given, 0, ROOT), { path: given })
  }
})

test('a file that a shell opened, and removed, is read by the name of its descriptor', async t => {
  if (process.platform !== 'linux') return // the names of descriptors are links there
  const file = join(await temporaryFolder(t), 'file')
  await writeFile(file, 'content')
  const fd = openSync(file, 'r')
  t.after(() => closeSync(fd))
  await rm(file)
  assert.equal((await readFileOrPipe(`/dev/fd/${fd}`)).toString(), 'content')
  closeSync(openUnmisled(`/dev/fd/${fd}`, 0, ROOT))
})
