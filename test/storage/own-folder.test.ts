import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync
} from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { sharedFilesFolder, storageFolder } from '../../src/storage/folders/folder-kinds.js'
import { takeFolders } from '../../src/storage/folders/own-folder.js'
import { overlapOf } from '../../src/storage/folders/separate-folders.js'
import { eventually } from '../support/eventually.js'
import { makeFifo } from '../support/machine/make-fifo.js'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

test('a folder that is taken is refused to another one, which then holds nothing', async t => {
  const folder = await temporaryFolder(t)
  const files = sharedFilesFolder(join(folder, 'shared-files'))
  const one = storageFolder(join(folder, 'one'), 0o750)
  const two = storageFolder(join(folder, 'two'), 0o750)
  const release = takeFolders('root', [one, files])
  assert.deepEqual(readdirSync(files.path), ['.lock~', '.node-id~'])
  assert.throws(
    () => takeFolders('root', [two, files]),
    /another Treeline is running with shared_files.path = .*shared-files/
  )
  assert.throws(() => takeFolders('root', [one]), /another Treeline is running with storage.path = .*one/)
  const other = takeFolders('root', [two])
  other()
  release()
  takeFolders('root', [two, files])()
})

test('a folder of another node is refused, until it is given up', async t => {
  const path = join(await temporaryFolder(t), 'storage')
  const folder = storageFolder(path, 0o700)
  takeFolders('node-1', [folder])()
  assert.throws(
    () => takeFolders('node-2', [folder]),
    new RegExp(`storage.path = ${path} belongs to the node node-1, and this one is node-2: .* remove ${path}/node-id`)
  )
  takeFolders('node-1', [folder])() // it is not held by who was refused
  writeFileSync(join(path, 'node-id'), '') // as a power cut leaves it
  takeFolders('node-2', [folder])()
  assert.equal(readFileSync(join(path, 'node-id'), 'utf8'), 'node-2\n')
  rmSync(join(path, 'node-id'))
  symlinkSync('elsewhere', join(path, 'node-id'))
  assert.throws(() => takeFolders('node-2', [folder]), /node-id is a symbolic link that leads nowhere: remove it/)
  await makeFifo(join(path, 'node-id'))
  assert.throws(() => takeFolders('node-2', [folder]), /storage.path: .*node-id cannot be read: it is a FIFO/)
})

test('a lock file is for its owner alone, also one that all could read: who can open it can lock it', async t => {
  const files = sharedFilesFolder(join(await temporaryFolder(t), 'files'))
  const lock = join(files.path, '.lock~')
  const mode = () => statSync(lock).mode & 0o777
  takeFolders('root', [files])()
  assert.equal(mode(), 0o600)
  chmodSync(lock, 0o644)
  const release = takeFolders('root', [files])
  assert.equal(mode(), 0o600)
  chmodSync(lock, 0o644)
  assert.throws(() => takeFolders('root', [files]), /another Treeline is running/, 'it is locked still')
  release()
})

test('what is no lock in the place of one is named, and may be removed', async t => {
  const path = join(await temporaryFolder(t), 'storage')
  const folder = storageFolder(path, 0o700)
  takeFolders('node-1', [folder])()
  const lock = join(path, 'lock.db')
  writeFileSync(lock, 'nothing of the kind')
  const said = (what: string) =>
    new RegExp(`^Error: storage.path = ${path}: ${lock} ${what}: remove it, it is made anew`)
  assert.throws(() => takeFolders('node-1', [folder]), said('is no lock'))
  rmSync(lock)
  mkdirSync(lock)
  assert.throws(() => takeFolders('node-1', [folder]), said('is a folder'))
  rmSync(lock, { recursive: true })
  symlinkSync(join(path, 'made-by-following'), lock)
  assert.throws(() => takeFolders('node-1', [folder]), said('is a symbolic link'))
  assert.ok(!existsSync(join(path, 'made-by-following')))
  rmSync(lock)
  await makeFifo(lock)
  assert.throws(() => takeFolders('node-1', [folder]), said('is a FIFO'))
  rmSync(lock)
  takeFolders('node-1', [folder])()
})

test('folders that are not apart are refused before anything is made, naming both settings', async t => {
  const folder = await temporaryFolder(t)
  const [a, b] = [join(folder, 'a'), join(folder, 'b')]
  const pair = (storage: string, files: string) => [storageFolder(storage, 0o700), sharedFilesFolder(files)]
  const refused = (storage: string, files: string, message: RegExp) => {
    assert.throws(() => takeFolders('root', pair(storage, files)), message)
  }
  refused(a, a, /storage.path = .*a is shared_files.path as well: give each a folder of its own, none within another/)
  refused(a, join(a, 'runs', 'files'), /shared_files.path = .*files lies in storage.path = .*a: give each/)
  refused(join(b, 'data'), b, /storage.path = .*data lies in shared_files.path = .*b: give each/)
  mkdirSync(a)
  symlinkSync(a, join(folder, 'link'))
  refused(join(folder, 'link'), join(a, 'tree'), /shared_files.path = .*tree lies in storage.path = .*a:/)
  assert.deepEqual([readdirSync(folder).sort(), readdirSync(a)], [['a', 'link'], []])
  takeFolders('root', pair(a, join(a, 'files')))() // where nothing else is looked for
  takeFolders('root', pair(a, `${a}-files`))() // beside it, although the name begins alike
})

test("folders within another relay's folder of shared files, or that are its other one, are refused", async t => {
  const folder = await temporaryFolder(t)
  const [storage, files] = [join(folder, 'storage'), join(folder, 'files')]
  takeFolders('one', [storageFolder(storage, 0o700), sharedFilesFolder(files)])()
  const other = (own: string, shared: string) => () =>
    takeFolders('two', [storageFolder(own, 0o700), sharedFilesFolder(shared)])
  const mark = join(files, '.node-id~')
  const nested = new RegExp(
    `shared_files.path = .*two lies in shared_files.path = ${files} of the node one: .*remove ${mark}`
  )
  assert.throws(other(join(folder, 'own'), join(files, 'n', 'two')), nested)
  assert.throws(
    other(join(files, 'own'), join(folder, 'two')),
    /storage.path = .*own lies in shared_files.path = .*files/
  )
  assert.throws(other(files, join(folder, 'two')), /storage.path = .*files is shared_files.path of the node one/)
  assert.throws(other(join(folder, 'own'), storage), /shared_files.path = .*storage is storage.path of the node one/)
  assert.deepEqual(readdirSync(folder).sort(), ['files', 'storage'])
  rmSync(mark)
  other(join(folder, 'own'), join(files, 'n', 'two'))()()
})

test("a folder of shared files that has another relay's in it is refused, and nothing is made in it", async t => {
  const folder = await temporaryFolder(t)
  const above = join(folder, 'files')
  const start = (id: string, path: string) =>
    takeFolders(id, [storageFolder(join(folder, `storage-${id}`), 0o700), sharedFilesFolder(path)])
  const places = ['relay-a', 'relay-a/shared-files', 'relay-a/shared-files/relay-b/shared-files']
  for (const place of places) {
    const nested = join(above, place)
    start('other', nested)()
    const mark = join(nested, '.node-id~')
    assert.throws(
      () => start('root', above),
      new RegExp(
        `shared_files.path = ${above} contains shared_files.path = ${nested} of the node other: .*remove ${mark}`
      )
    )
    start('other', nested)() // it starts again
    assert.equal(existsSync(join(folder, 'storage-root')), false)
    assert.deepEqual(readdirSync(above), ['relay-a'])
    rmSync(mark)
    symlinkSync(join(folder, 'storage-other', 'node-id'), mark) // what it leads to is not read
    start('root', above)()
    rmSync(above, { recursive: true })
    rmSync(join(folder, 'storage-root'), { recursive: true })
  }
  start('root', join(above, 'relay-a/shared-files'))()
  start('root', above)() // its own former one
})

test('folders of a relay of the same node that runs are refused in and around these; what it left is not', async t => {
  const folder = await temporaryFolder(t)
  const pair = (storage: string, files: string) => [
    storageFolder(join(folder, storage), 0o700),
    sharedFilesFolder(join(folder, files))
  ]
  const release = takeFolders('root', pair('one/storage', 'one/files'))
  const other = (storage: string, files: string) => () => takeFolders('root', pair(storage, files))
  const running = 'of another Treeline that is running with this node_id: give each a folder of its own'
  const refused: readonly (readonly [string, string, string])[] = [
    ['two', 'one/storage', `one/storage is storage.path ${running}`],
    ['two', 'one/storage/runs', `lies in storage.path = \\S+one/storage ${running}`],
    ['two', 'one', `one contains (storage|shared_files).path = \\S+ ${running}`],
    ['one/files', 'two', `one/files is shared_files.path ${running}`],
    ['one/files/n1', 'two', `lies in shared_files.path = \\S+one/files ${running}`],
    ['one/storage/runs', 'two', `lies in storage.path = \\S+one/storage ${running}`],
    ['one/storage/tree/inner', 'two', `lies in storage.path = \\S+one/storage ${running}`]
  ]
  for (const [storage, files, says] of refused) assert.throws(other(storage, files), new RegExp(says), files)
  assert.deepEqual(readdirSync(folder), ['one'])
  const inside = takeFolders('inner', pair('three/runs', 'four')) // as seen from what has it in it
  assert.throws(
    () => takeFolders('root', pair('three', 'five')),
    /storage.path = \S+three contains storage.path = \S+three\/runs of the node inner/
  )
  inside()
  assert.equal(overlapOf('root', pair('one/storage', 'one/files')), undefined, 'its own, for a check')
  release()
  other('two', 'one/files/n1/shared-files')()()
})

test('folders that lead in a circle overlap with none, for a check to go on', async t => {
  const path = join(await temporaryFolder(t), 'round')
  symlinkSync(path, path)
  assert.equal(overlapOf('root', [storageFolder(path, 0o750), sharedFilesFolder(join(path, 'files'))]), undefined)
})

test('a lock file that is removed is made and locked again; where another was faster, that is told', async t => {
  const files = sharedFilesFolder(join(await temporaryFolder(t), 'files'))
  const lock = join(files.path, '.lock~')
  const told: string[] = []
  const release = takeFolders('root', [files], error => told.push(error.message))
  for (const round of ['once', 'and again']) {
    rmSync(lock)
    await eventually(`the lock is made anew, ${round}`, () => existsSync(lock))
    assert.throws(() => takeFolders('root', [files]), /another Treeline is running with shared_files.path = /)
  }
  const watched = watch(lock)
  chmodSync(lock, 0o600)
  await once(watched, 'change')
  watched.close()
  assert.deepEqual(told, [], 'another mode is no removal')
  rmSync(lock)
  const other = takeFolders('root', [files])
  await eventually('that another has it is told', () => told.length > 0)
  assert.match(told.join(), /^another Treeline is running with shared_files.path = .*files: stop it, or give this one/)
  release()
  assert.throws(() => takeFolders('root', [files]), /another Treeline is running/, 'the other one holds it still')
  other()
})

test('of two relays that start at once on folders within each other, none takes the other one for its own', async t => {
  const folder = await temporaryFolder(t)
  const outer = sharedFilesFolder(join(folder, 'files'))
  const inner = sharedFilesFolder(join(outer.path, 'node-1'))
  mkdirSync(inner.path, { recursive: true })
  for (const [first, second, why] of [
    [outer, inner, /shared_files\.path = \S+files contains shared_files\.path = \S+node-1 of the node two/],
    [inner, outer, /shared_files\.path = \S+node-1 lies in shared_files\.path = \S+files of the node two/]
  ] as const) {
    let release: (() => void) | undefined
    const whenLooked = {
      ...first,
      /** Is asked for once nothing was found in the way. */
      get lockName() {
        release ??= takeFolders('two', [second])
        return first.lockName
      }
    }
    assert.throws(() => takeFolders('one', [whenLooked]), why)
    assert.ok(!existsSync(join(first.path, first.nodeIdName)), 'it leaves no mark')
    assert.throws(() => takeFolders('two', [second]), /another Treeline is running/)
    release?.()
    rmSync(join(second.path, second.nodeIdName))
  }
})

test('what is in the place of a lock, and cannot be opened, is named', async t => {
  const path = join(await temporaryFolder(t), 'storage')
  mkdirSync(path)
  const server = createServer().listen(join(path, 'lock.db'))
  await once(server, 'listening')
  t.after(() => server.close())
  assert.throws(
    () => takeFolders('root', [storageFolder(path, 0o700)]),
    /^Error: storage\.path = \S+: \S+lock\.db is a socket: remove it, it is made anew at the start/
  )
})

test('no lock is made in a folder that took the place of the one that was locked', async t => {
  const path = join(await temporaryFolder(t), 'storage')
  const folder = storageFolder(path, 0o700)
  const release = takeFolders('root', [folder])
  const watched = watch(join(path, 'lock.db'))
  rmSync(path, { recursive: true })
  mkdirSync(path)
  await once(watched, 'change')
  watched.close()
  assert.deepEqual(readdirSync(path), [])
  release()
})

testAsRoot(
  'after one start as root, the user of the folder is told how to get back all that root made there',
  async t => {
    const SERVICE = 65_534
    const path = join(await temporaryFolder(t), 'storage')
    chmodSync(dirname(path), 0o711)
    const folder = storageFolder(path, 0o700)
    takeFolders('node-1', [folder])()
    chownSync(path, SERVICE, SERVICE)
    process.seteuid?.(SERVICE)
    try {
      const advice = `it belongs to user 0, as whom this was started before. As root, .*: chown -R ${SERVICE} ${path}$`
      assert.throws(() => takeFolders('node-1', [folder]), new RegExp(`lock\\.db cannot be opened; ${advice}`))
    } finally {
      process.seteuid?.(0)
    }
  }
)
