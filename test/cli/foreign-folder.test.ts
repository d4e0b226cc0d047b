import assert from 'node:assert/strict'
import { chmod, chown, lchown, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { refuseForeign } from '../../src/cli/checks/permissions/foreign-folder.js'
import { UsageError } from '../../src/cli/command-error.js'
import { formatJoinToken, TOKEN_ID_LENGTH } from '../../src/keys/tokens/join-token.js'
import { openKeys, writeFiles } from '../../src/membership/setup/member-folder.js'
import { IS_ROOT, testAsRoot } from '../support/machine/own-namespace.js'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'

const ROOT = 0
const SOMEBODY = 65_534

/** Root needs a file of another user; for any other user their own ones are that, when asked as root. */
async function giveAway(path: string): Promise<void> {
  if (process.geteuid?.() === ROOT) await chown(path, SOMEBODY, SOMEBODY)
}

/** As root asks, who can give folders away; any other user's own folders are somebody else's for root. */
const named = (end: RegExp) => (error: unknown) => error instanceof UsageError && end.test(error.message)
const refuse = (folder: string, users: readonly string[] = []) => refuseForeign([folder], users, 'ask them', ROOT)

test('root sets nothing up in a folder, or with a key, of somebody else', async t => {
  const folder = await temporaryFolder(t)
  const theirs = join(folder, 'theirs')
  await mkdir(theirs)
  await giveAway(theirs)
  await assert.rejects(refuse(theirs, ['no-such-user']), /belongs to user \d+, who could change .*, or ask them$/)

  const ours = join(folder, 'ours')
  await mkdir(ours)
  await writeFile(join(ours, 'tls.key'), '')
  await giveAway(join(ours, 'tls.key'))
  await assert.rejects(refuse(ours), /belongs to user \d+/)
})

test('nor below a folder of somebody else', async t => {
  const folder = await temporaryFolder(t)
  const theirs = join(folder, 'theirs')
  await mkdir(join(theirs, 'ours'), { recursive: true })
  await giveAway(theirs)
  for (const below of ['theirs/ours', 'theirs/ours/new/too', 'theirs/new']) {
    await assert.rejects(
      refuse(join(folder, below)),
      named(IS_ROOT ? /: \S+theirs belongs to user 65534/ : /belongs to/)
    )
  }
})

testAsRoot('nor in one that others may write in, nor through a link of theirs', async t => {
  const folder = await temporaryFolder(t)
  const open = join(folder, 'open')
  await mkdir(join(open, 'ours'), { recursive: true })
  await chmod(open, 0o775)
  await assert.rejects(refuse(join(open, 'ours')), named(/: \S+open may be written in by group 0/))
  await chmod(open, 0o777)
  await assert.rejects(refuse(join(open, 'ours')), named(/: \S+open may be written in by everyone/))
  await chmod(open, 0o1777)
  await refuse(join(open, 'ours'))
  await assert.rejects(refuse(open), named(/^\S+open may be written in by everyone/))
  await symlink('ours', join(open, 'link'))
  await refuse(join(open, 'link/data'))
  await lchown(join(open, 'link'), SOMEBODY, SOMEBODY)
  await assert.rejects(refuse(join(open, 'link/data')), named(/: \S+link is a link of user 65534/))
})

testAsRoot('keys are made in no folder of somebody else', async t => {
  const theirs = join(await temporaryFolder(t), 'theirs')
  await mkdir(join(theirs, 'ours'), { recursive: true })
  await giveAway(theirs)
  for (const command of [
    ['key', 'generate', '--out', join(theirs, 'ours')],
    ['init', '--dir', join(theirs, 'ours'), '--host', 'localhost']
  ]) {
    const { code, stderr } = await treeline(t, command)
    assert.equal(code, 2)
    assert.match(stderr, /theirs belongs to user 65534, who could change what is kept there/)
    assert.deepEqual(await readdir(join(theirs, 'ours')), [])
  }
})

testAsRoot('in the folder of whom it will be run as root reads no file that a link of theirs leads to', async t => {
  const folder = await temporaryFolder(t)
  await chmod(folder, 0o755)
  const secret = join(folder, 'secret')
  await writeFile(secret, 'a secret of root\n', { mode: 0o600 })
  const bytes = Buffer.alloc(32)
  const token = formatJoinToken({ id: 'a'.repeat(TOKEN_ID_LENGTH), secret: bytes, caHash: bytes })
  const joining = [
    'join',
    'https://127.0.0.1:1',
    '--token',
    token,
    '--host',
    'localhost',
    '--id',
    'n',
    '--user',
    'nobody'
  ]
  const cases = [
    ['tls.key', [...joining, '--dir']],
    ['sign.key', [...joining, '--dir']],
    ['main.conf', [...joining, '--again', '--dir']],
    ['agent.conf', [...joining, '--again', '--dir']],
    ['main.conf', ['token', 'list', '--config']],
    ['agent.conf', ['fetch', 'a', 'file', join(folder, 'fetched'), '--config']],
    ['main.conf', ['nodes', 'restore', '--config']],
    ['sign.key', ['share', 'b', 'file', secret, '--ttl', '1h', '--source', 'a', '--config']]
  ] as const
  await Promise.all(
    cases.map(async ([name, command], index) => {
      const theirs = join(folder, String(index))
      await mkdir(theirs)
      await symlink(secret, join(theirs, name))
      await lchown(join(theirs, name), SOMEBODY, SOMEBODY)
      await giveAway(theirs)
      const { code, stdout, stderr } = await treeline(t, [...command, theirs])
      assert.ok(code === 1 || code === 2, stderr)
      assert.ok(!`${stdout}${stderr}`.includes('a secret of root'))
      const refusal = new RegExp(`${name} is a symbolic link of user 65534, and leads to a file that is neither theirs`)
      assert.match(stderr, refusal, command.join(' '))
      assert.doesNotMatch(stderr, /^ +at /m, 'no stack')
    })
  )
})

test('nothing is written into a folder that has taken the place of the one that was looked at', async t => {
  const path = join(await temporaryFolder(t), 'folder')
  await mkdir(path)
  await refuse(path, [userInfo().username])
  await writeFiles(path, { 'main.conf': 'ours' })
  await rename(path, `${path}.former`)
  await mkdir(path)
  const refusal = /another folder has taken the place of \S+folder since this command began/
  await assert.rejects(writeFiles(path, { 'main.conf': 'theirs' }), refusal)
  await assert.rejects(openKeys(path), refusal)
  await rm(path, { recursive: true })
  await symlink(`${path}.former`, path)
  await openKeys(path) // by whatever way it is the same
  assert.deepEqual((await readdir(`${path}.former`)).sort(), ['main.conf', 'sign.key', 'tls.key'])
})

test('folders of whom it will be run as are as good, and so are those that are not there yet', async t => {
  const folder = await temporaryFolder(t)
  const users = [userInfo().username]
  for (const each of [folder, join(folder, 'new')]) await refuse(each, users)
})

test('a user who is not root has no rights that others could use', async t => {
  const folder = await temporaryFolder(t)
  await giveAway(folder)
  await refuseForeign([folder], [], 'ask them', 1_000)
})
