import assert from 'node:assert/strict'
import { chmod, lstat, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { replaceContent } from '../../src/membership/atomic-files.js'
import { formatJoinToken, TOKEN_ID_LENGTH } from '../../src/values/keys/join-token.js'
import { temporaryFolder, treeline } from '../support/treeline-command.js'

test('init, join and key end where no folder can be made', {
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
  const key = await treeline(t, ['key', 'generate', '--out', `${folder}/a`])
  assert.equal(key.code, 2)
  assert.match(
    key.stderr,
    /^treeline: --out \/proc\/treeline-test\/a: the folder \/proc\/treeline-test cannot be made: ENOENT/
  )
})

test('init, join and key end before they make anything where a file has the name of a folder', async t => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'file')
  await writeFile(file, '')
  const bytes = Buffer.alloc(32)
  const token = formatJoinToken({ id: 'a'.repeat(TOKEN_ID_LENGTH), secret: bytes, caHash: bytes })
  const cases = [
    ['--dir', file],
    ['--dir', join(file, 'x')],
    ['--dir', join(folder, 'new'), '--data', file]
  ].flatMap(where => [
    ['init', '--host', 'localhost', ...where],
    ['join', 'https://127.0.0.1:1', '--token', token, '--id', 'n', '--host', 'localhost', ...where]
  ])
  for (const args of [...cases, ['key', 'generate', '--out', join(file, 'x')]]) {
    const { code, stderr } = await treeline(t, args)
    assert.equal(code, 2, stderr)
    const [, option] =
      /^treeline: (--\w+)\b.*the folder \S+ cannot be made: there is a file of that name/.exec(stderr) ?? []
    assert.equal(option, args.at(-2), stderr)
  }
  assert.deepEqual(await readdir(folder), ['file'])
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
