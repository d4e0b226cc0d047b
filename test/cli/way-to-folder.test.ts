import assert from 'node:assert/strict'
import { chmod, chown, lchown, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { foreignStorageWays, refuseForeignWays } from '../../src/cli/checks/way-to-folder.js'
import { startTreeline, temporaryFolder } from '../support/machine/treeline-command.js'

const SOMEBODY = 65_534
/** Root alone can give folders away. */
const needsRoot = { skip: process.geteuid?.() !== 0 && 'root alone can give folders away' }

const refuse = (...paths: string[]) => refuseForeignWays(paths.map(path => ({ setting: 'storage.path', path })))

async function makeTheirs(folder: string): Promise<string> {
  const theirs = join(folder, 'theirs')
  await mkdir(theirs)
  await chown(theirs, SOMEBODY, SOMEBODY)
  return theirs
}

test('root reaches its folders by no link and no folder of another user', needsRoot, async t => {
  const folder = await temporaryFolder(t)
  const theirs = await makeTheirs(folder)
  await symlink(folder, join(folder, 'link'))
  await lchown(join(folder, 'link'), SOMEBODY, SOMEBODY)
  const link = /storage\.path \S+: \S+link is a symbolic link of user 65534, which root does not follow: name the /
  for (const name of ['link', 'link/new', 'link/new/deep']) await assert.rejects(refuse(join(folder, name)), link)
  const below = /storage\.path \S+: \S+theirs belongs to user 65534, who could lead root elsewhere/
  for (const name of ['theirs/new', 'theirs/new/deep']) await assert.rejects(refuse(join(folder, name)), below)
  await symlink(folder, join(theirs, 'out'))
  await lchown(join(theirs, 'out'), SOMEBODY, SOMEBODY)
  await assert.rejects(refuse(theirs, join(theirs, 'out')), /out is a symbolic link/)
  await symlink('theirs/new', join(folder, 'into'))
  await assert.rejects(refuse(join(folder, 'into')), below)

  const open = join(folder, 'open')
  await mkdir(open)
  await chmod(open, 0o777)
  await assert.rejects(refuse(join(open, 'new')), /open may be written in by everyone, who could lead root elsewhere/)
  await chmod(open, 0o1777)
  await refuse(join(open, 'new'))
})

test('it keeps what others are only warned of, and its own links', needsRoot, async t => {
  const folder = await temporaryFolder(t)
  const theirs = await makeTheirs(folder)
  await refuse(theirs)
  await refuse(theirs, join(theirs, 'shared-files'))
  await symlink(theirs, join(folder, 'ours'))
  await refuse(join(folder, 'ours'), join(folder, 'new/deep'))
  await writeFile(join(folder, 'file'), '')
  await refuse(join(folder, 'file/new')) // making it says what is wrong
  const below = { setting: 'shared_files.path', path: join(theirs, 'new/sf') }
  await refuseForeignWays([below], SOMEBODY)
  // the owner of the storage is taken for the user of the service
  assert.deepEqual(await foreignStorageWays({ setting: 'storage.path', path: theirs }, [below]), [])
  assert.equal((await foreignStorageWays({ setting: 'storage.path', path: folder }, [below])).length, 1)
})

test('a relay and an agent of root say so, with --test too, and make nothing', needsRoot, async t => {
  const folder = await temporaryFolder(t)
  const theirs = await makeTheirs(folder)
  const ours = join(folder, 'ours')
  await mkdir(ours)
  await symlink(ours, join(theirs, 'link'))
  await lchown(join(theirs, 'link'), SOMEBODY, SOMEBODY)
  await writeFile(
    join(folder, 'main.conf'),
    `[general]\nnode_id = "root"\nlisten = "127.0.0.1:0"\n[storage]\npath = "st"\n[shared_files]\npath = "${theirs}/link/sf"\n`
  )
  await writeFile(
    join(folder, 'agent.conf'),
    `node_id = "node"\nkey_file = "key"\ncertificate_file = "certificate"\n[upstream]\nhost = "root.example"\n[storage]\npath = "${theirs}/link/st"\n`
  )
  for (const [command, setting] of [
    ['serve', 'shared_files'],
    ['agent', 'storage']
  ] as const) {
    for (const options of [[], ['--test']]) {
      const running = startTreeline(t, [command, '--config', folder, ...options])
      running.printed('ready').then(
        () => running.child.kill('SIGKILL'), // else one that starts all the same would not end
        () => undefined
      )
      const { code, stderr } = await running.ended
      assert.match(stderr, new RegExp(`${setting}\\.path \\S+: \\S+theirs belongs to user 65534`))
      assert.equal(code, options.length === 0 ? 3 : 2)
    }
  }
  assert.deepEqual(await readdir(ours), [])
})
