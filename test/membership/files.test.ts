import assert from 'node:assert/strict'
import { chmod, lstat, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeFolder, replaceContent } from '../../src/membership/files.js'
import { formatJoinToken, TOKEN_ID_LENGTH } from '../../src/values/join-token.js'
import { temporaryFolder, treeline } from '../support/treeline-command.js'

test('a folder is made with all that is missing above it, and nobody else may look into them', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'a/b/c')
  await makeFolder(path)
  await makeFolder(path) // it is there already
  await Promise.all([makeFolder(join(folder, 'd/e/f')), makeFolder(join(folder, 'd/e/g'))])
  for (const made of ['a', 'a/b', 'a/b/c', 'd/e/f', 'd/e/g']) {
    const found = await stat(join(folder, made))
    assert.ok(found.isDirectory())
    assert.equal(found.mode & 0o007, 0, made)
  }
})

test('a folder behind a link is taken as it is', async t => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'real'))
  await symlink('real', join(folder, 'link'))
  await makeFolder(join(folder, 'link/a'))
  assert.ok((await stat(join(folder, 'real/a'))).isDirectory())
})

test('what cannot be made is named: a file, or a link to nothing, is in its place', async t => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'file'), '')
  await symlink('nothing', join(folder, 'link'))
  for (const name of ['file', 'link']) {
    const named = (error: Error) => error.message.startsWith(`the folder ${join(folder, name)} cannot be made: EEXIST`)
    await assert.rejects(makeFolder(join(folder, name)), named)
    await assert.rejects(makeFolder(join(folder, name, 'a/b')), named)
  }
})

test('init and join end where no folder can be made', {
  skip: process.platform !== 'linux',
  timeout: 60_000
}, async t => {
  const bytes = Buffer.alloc(32)
  const token = formatJoinToken({ id: 'a'.repeat(TOKEN_ID_LENGTH), secret: bytes, caHash: bytes })
  const folder = '/proc/treeline-test'
  for (const args of [['init'], ['join', 'https://127.0.0.1:1', '--token', token]]) {
    for (const below of ['', '/a/b']) {
      const ended = await treeline(t, [...args, '--host', 'localhost', '--dir', folder + below])
      assert.equal(ended.code, 1)
      assert.match(ended.stderr, /the folder \/proc\/treeline-test cannot be made: ENOENT.*; choose another one/)
    }
  }
})

test('a replaced content leaves mode and symbolic link', async t => {
  const folder = await temporaryFolder(t)
  const managed = join(folder, 'managed.conf')
  const link = join(folder, 'main.conf')
  await writeFile(managed, 'before')
  await chmod(managed, 0o600)
  await symlink(managed, link)
  await replaceContent(link, 'after')
  assert.equal(await readFile(managed, 'utf8'), 'after')
  assert.equal((await stat(managed)).mode & 0o777, 0o600)
  assert.ok((await lstat(link)).isSymbolicLink())
})
