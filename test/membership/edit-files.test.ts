import assert from 'node:assert/strict'
import { chmod, chown, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { formatJoinToken, TOKEN_ID_LENGTH } from '../../src/keys/tokens/join-token.js'
import { editFile } from '../../src/membership/setup/edit-files.js'
import { openKeys, writeFiles } from '../../src/membership/setup/member-folder.js'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { mountSmallDisk } from '../support/machine/small-disk.js'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'

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
  await editFile(link, former => `${former} and after`)
  assert.equal(await readFile(managed, 'utf8'), 'before and after')
  assert.equal((await stat(managed)).mode & 0o777, 0o600)
  assert.ok((await lstat(link)).isSymbolicLink())
})

const SOMEBODY = 65_534

testAsRoot('in the folder of another user root follows no link, and what it writes is theirs', async t => {
  const folder = await temporaryFolder(t)
  const theirs = join(folder, 'theirs')
  await mkdir(theirs)
  await chown(theirs, SOMEBODY, SOMEBODY)
  const ours = join(folder, 'ours.conf')
  await writeFile(ours, 'of root')
  const conf = join(theirs, 'main.conf')
  await symlink(ours, conf)
  await assert.rejects(
    editFile(conf, () => 'chosen by somebody'),
    /main\.conf is a symbolic link that is not followed, .* run this as the owner of the folder/
  )
  assert.equal(await readFile(ours, 'utf8'), 'of root')

  await openKeys(theirs)
  await writeFiles(theirs, { 'certificate.pem': 'new', 'main.conf': 'a file in the place of the link' })
  assert.equal(await readFile(ours, 'utf8'), 'of root')
  await editFile(conf, former => `${former}, edited`)
  assert.equal(await readFile(conf, 'utf8'), 'a file in the place of the link, edited')
  const names = await readdir(theirs)
  assert.deepEqual(names.sort(), ['certificate.pem', 'main.conf', 'sign.key', 'tls.key'])
  for (const name of names) assert.equal((await lstat(join(theirs, name))).uid, SOMEBODY, name)
})

test('a full disk leaves no half of a key: the message names it, and the same line works later', {
  timeout: 60_000
}, async t => {
  const disk = await mountSmallDisk(t, 1)
  if (disk === undefined) return
  const bytes = Buffer.alloc(32)
  const token = formatJoinToken({ id: 'a'.repeat(TOKEN_ID_LENGTH), secret: bytes, caHash: bytes })
  const at = (name: string) => join(disk.path, name)
  const join1 = ['join', 'https://127.0.0.1:1', '--token', token, '--id', 'n', '--host', 'localhost', '--dir', at('n')]
  const init = ['init', '--host', 'localhost', '--dir', at('root')]
  const key = ['key', 'generate', '--out', at('keys')]
  await disk.fill()
  for (const [args, name] of [
    [join1, 'n/tls.key'],
    [init, 'root/tls.key'],
    [key, 'keys/treeline-sign.key']
  ] as const) {
    const { code, stderr } = await treeline(t, args)
    assert.equal(code, 1, stderr)
    assert.match(stderr, new RegExp(`^treeline: ${at(name)} cannot be written: ENOSPC`))
    assert.deepEqual(await readdir(join(at(name), '..')), [])
  }
  await disk.empty()
  const joined = await treeline(t, join1)
  assert.match(joined.stderr, /https:\/\/127\.0\.0\.1:1 cannot be asked: connection refused/)
  assert.equal((await treeline(t, key)).code, 0)

  for (const name of ['n/tls.key', 'keys/treeline-sign.key']) await writeFile(at(name), '')
  assert.match((await treeline(t, join1)).stderr, /n\/tls\.key is empty: .*was interrupted\. Remove it/)
  assert.match((await treeline(t, key)).stderr, /treeline-sign\.key is there already, and empty/)
})
