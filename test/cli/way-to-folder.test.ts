import assert from 'node:assert/strict'
import { chmod, chown, lchown, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openFolderWarnings } from '../../src/cli/checks/permissions/open-folders.js'
import { foreignWaysOf, refuseForeignWays } from '../../src/cli/checks/permissions/way-to-folder.js'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { startTreeline, temporaryFolder, treeline } from '../support/machine/treeline-command.js'

const SOMEBODY = 65_534

const refuse = (...paths: string[]) => refuseForeignWays(paths.map(path => ({ setting: 'storage.path', path })))

async function makeTheirs(folder: string): Promise<string> {
  const theirs = join(folder, 'theirs')
  await mkdir(theirs)
  await chown(theirs, SOMEBODY, SOMEBODY)
  return theirs
}

testAsRoot('root reaches its folders by no link and no folder of another user', async t => {
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

testAsRoot('it keeps what others are only warned of, and its own links', async t => {
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
  assert.deepEqual(await foreignWaysOf(SOMEBODY, [below]), [])
  assert.equal((await foreignWaysOf(0, [below])).length, 1)
})

testAsRoot('a folder on the way in which others may write is warned of, at the start and with --test', async t => {
  const folder = await temporaryFolder(t)
  const [open, deep] = [join(folder, 'open'), join(folder, 'open/in/deep')]
  await mkdir(deep, { recursive: true })
  await symlink(deep, join(folder, 'link'))
  await symlink('link/../st', join(folder, 'up')) // `..` is the folder above the link's target
  const warnings = (path: string, user?: number) => openFolderWarnings([{ setting: 'storage.path', path }], user)
  assert.deepEqual(await warnings(deep), [])
  await chown(deep, SOMEBODY, SOMEBODY)
  const orAs = `or run this as that user, who cannot use what root makes there (chown -R ${SOMEBODY} undoes that)`
  assert.deepEqual(await warnings(deep, 0), [
    `storage.path ${deep} belongs to user ${SOMEBODY}, who may change what is there; chown 0 ${deep}, ${orAs}`
  ])
  await chown(deep, 0, 0)
  await chmod(open, 0o775)
  for (const path of [deep, join(deep, 'new/st'), join(folder, 'link'), join(folder, 'link/st'), join(folder, 'up')]) {
    const says = `storage.path ${path}: the folder ${open} on the way to it is open to group 0, who may change what is there; chmod g-w ${open}`
    for (const user of [undefined, SOMEBODY]) {
      const told = await warnings(path, user)
      assert.ok(told.includes(says), told.join('\n'))
    }
  }
  await chmod(open, 0o777)
  assert.match(
    (await warnings(deep, SOMEBODY)).join('\n'),
    /open on the way to it is open to every user of this machine/
  )
  await chmod(open, 0o1777)
  assert.deepEqual(await warnings(deep, SOMEBODY), [])
  await chmod(open, 0o755)
  await chown(open, SOMEBODY - 1, SOMEBODY)
  assert.match((await warnings(deep, SOMEBODY)).join('\n'), /open on the way to it belongs to user 65533/)

  await chown(open, 0, 0)
  await chmod(open, 0o775)
  await writeFile(
    join(folder, 'main.conf'),
    `[general]\nnode_id = "root"\nlisten = "127.0.0.1:0"\nnodes_list_file = "nodes.json"\n[storage]\npath = "${deep}"\n[shared_files]\npath = "sf"\n`
  )
  await writeFile(join(folder, 'nodes.json'), '{"root":{"hostname":"root.example","policy-server":"root"}}')
  const { stderr } = await treeline(t, ['serve', '--config', folder, '--test'])
  assert.match(stderr, /warning: storage\.path \S+: the folder \S+open on the way to it is open to group 0/)
  const running = startTreeline(t, ['serve', '--config', folder])
  await running.printed('"ready"')
  assert.match(running.soFar(), /storage\.path \S+: the folder \S+open on the way to it is open to group 0/)
})

testAsRoot(
  "a storage.path is warned of in which another group than its user's may write, unlike shared files",
  async t => {
    const folder = await temporaryFolder(t)
    const path = join(folder, 'data')
    await mkdir(path)
    const warnings = (setting: string) => openFolderWarnings([{ setting, path }], SOMEBODY)
    for (const [group, mode, says] of [
      [SOMEBODY, 0o770, []],
      [SOMEBODY - 1, 0o750, []],
      [
        SOMEBODY - 1,
        0o770,
        [`storage.path ${path} is open to group 65533, who may change what is there; chmod g-w ${path}`]
      ]
    ] as const) {
      await chown(path, SOMEBODY, group)
      await chmod(path, mode)
      assert.deepEqual(await warnings('storage.path'), says)
      assert.deepEqual(await warnings('shared_files.path'), [])
    }
  }
)

testAsRoot('a relay and an agent of root say so, with --test too, and make nothing', async t => {
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
