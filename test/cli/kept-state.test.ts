import assert from 'node:assert/strict'
import { appendFile, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { checkAgentStart, checkRelayStart } from '../../src/cli/checks/start-files-check.js'
import { loadAgentConfig } from '../../src/config/agent/agent-loader.js'
import { loadConfig } from '../../src/config/config-loader.js'
import { lookIntoStorage } from '../../src/storage/repositories/look-into-storage.js'
import { type Database, openDatabase } from '../../src/storage/sqlite-engine/database.js'
import { finishPlacing } from '../../src/tree-sync/tree-files.js'
import { makeFifo } from '../support/machine/make-fifo.js'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { makeAgentFolder, makeRelayFolder } from '../support/parts/checked-folders.js'

test('what a relay kept and cannot start with is found, and nothing is changed', async t => {
  const config = loadConfig(await makeRelayFolder(t))
  const { storage, sharedFiles, general } = config
  const state = join(storage.path, 'state.db')
  const whole = await readFile(state)
  const newer = Buffer.from(whole)
  newer.writeUInt32BE(10_000, 60) // user_version
  const published = join(dirname(general.nodesListFile), 'published.json')
  await mkdir(dirname(published), { recursive: true })
  await mkdir(sharedFiles.path, { recursive: true })
  for (const [file, bytes, says] of [
    [state, '', /^the members of this tree are gone from state\.db in storage\.path/],
    [state, undefined, /^the members of this tree are gone from state\.db in storage\.path/],
    [state, 'junk', /^cannot use the database .*state\.db: it is damaged, or no database/],
    [state, whole.subarray(0, 60), /^cannot use the database .*state\.db: it is damaged, or no database/],
    [
      state,
      newer,
      /^cannot use the database .*state\.db: it has schema 10000, and this version .* install the newer one/
    ],
    [join(storage.path, 'node-id'), 'roo', /^storage\.path = \S+ belongs to the node roo, and this one is root/],
    [join(sharedFiles.path, '.node-id~'), 'other\n', /^shared_files\.path = \S+ belongs to the node other/],
    [published, '{"changes":', /published\.json does not say which members were handed down last: remove it/],
    [published, '{"changes":99}', /^state\.db in storage\.path is older than the tree that this root handed down last/],
    [join(storage.path, 'lock.db'), 'junk', /^storage\.path = \S+: \S+lock\.db is no lock: remove it/],
    [join(sharedFiles.path, '.lock~'), 'junk', /^shared_files\.path = \S+: \S+\.lock~ is no lock: remove it/]
  ] as const) {
    const before = await readFile(file).catch(() => undefined)
    await (bytes === undefined ? rm(file) : writeFile(file, bytes))
    const names = await readdir(storage.path)
    const { problems } = await checkRelayStart(config)
    assert.equal(problems.length, 1, `${file}: ${problems.join('\n')}`)
    assert.match(problems[0] ?? '', says)
    assert.deepEqual(await readdir(storage.path), names)
    await (before === undefined ? rm(file) : writeFile(file, before))
  }
  assert.deepEqual((await checkRelayStart(config)).problems, [])
})

test('the same of an agent; its state may be new', async t => {
  const config = loadAgentConfig(await makeAgentFolder(t))
  const state = join(config.storage.path, 'state.db')
  await mkdir(config.storage.path, { recursive: true })
  await writeFile(state, '')
  assert.deepEqual((await checkAgentStart(config)).problems, [])
  await appendFile(state, 'junk')
  assert.match((await checkAgentStart(config)).problems.join(), /state\.db: it is damaged, .* start the agent again/)
  await writeFile(join(config.storage.path, 'node-id'), 'other')
  assert.match((await checkAgentStart(config)).problems.join(), /^storage\.path = \S+ belongs to the node other/)
})

test('a folder or a FIFO in the place of a lock or of a file of the tree is found', async t => {
  const config = loadConfig(await makeRelayFolder(t))
  const { nodesListFile, nodesCertsFile } = config.general
  const lock = join(config.storage.path, 'lock.db')
  for (const [path, says] of [
    [lock, /^storage\.path = \S+: \S+lock\.db is a folder: remove it/],
    [nodesListFile, /^general\.nodes_list_file = \S+ is a folder, and should be a file: move it away/],
    [nodesCertsFile, /^general\.nodes_certs_file = \S+ is a folder, and should be a file: move it away/]
  ] as const) {
    const before = await readFile(path).catch(() => undefined)
    await rm(path, { force: true })
    await mkdir(path, { recursive: true })
    const { problems } = await checkRelayStart(config)
    assert.equal(problems.length, 1, problems.join('\n'))
    assert.match(problems[0] ?? '', says)
    await rm(path, { recursive: true })
    if (before !== undefined) await writeFile(path, before)
  }
  await makeFifo(lock)
  assert.match((await checkRelayStart(config)).problems.join(), /lock\.db is a FIFO: remove it/)
  await rm(lock)
  const tree = dirname(nodesListFile)
  await rename(tree, `${tree}.aside`)
  await makeFifo(tree)
  assert.match(
    (await checkRelayStart(config)).problems.join(),
    /the folder \S+tree cannot be made: there is a file of that name; move it away/
  )
  const ofRelay = { ...config, tree: { ...config.tree, source: 'policy-server' as const } }
  assert.match((await checkRelayStart(ofRelay)).problems.join(), /tree cannot be made: there is a file of that name/)
  assert.throws(() => finishPlacing(tree), /tree cannot be made: there is a file of that name; move it away/)
})

test('a state without the root, records of files that lie elsewhere, and a damaged page are found', async t => {
  const config = loadConfig(await makeRelayFolder(t))
  const state = join(config.storage.path, 'state.db')
  const problems = async () => (await checkRelayStart(config)).problems
  withDatabase(state, db => db.exec(ONE_FILE))
  const elsewhere = /^shared_files\.path \(\S+\) is not the folder that it was: 1 files are recorded/
  assert.match((await problems()).join('\n'), elsewhere)
  await mkdir(config.sharedFiles.path, { recursive: true })
  assert.match((await problems()).join('\n'), elsewhere)
  await mkdir(join(config.sharedFiles.path, '.incoming~'))
  assert.deepEqual(await problems(), [])

  withDatabase(state, db => db.exec('DELETE FROM member_certificates; DELETE FROM members'))
  assert.match((await problems()).join('\n'), /^the members of this tree are gone from state\.db/)
  await overwritePage(state, 'members')
  const damaged = [`cannot use the database ${state}: it is damaged, or no database.`]
  assert.deepEqual(
    (await problems()).map(problem => problem.slice(0, damaged[0]?.length)),
    damaged
  )
})

test('a damaged page that no other check reads is found, at an agent too', async t => {
  const config = loadAgentConfig(await makeAgentFolder(t))
  const state = join(config.storage.path, 'state.db')
  await mkdir(config.storage.path, { recursive: true })
  withDatabase(state, () => undefined)
  assert.deepEqual((await checkAgentStart(config)).problems, [])
  await overwritePage(state, 'runs')
  assert.match(
    (await checkAgentStart(config)).problems.join('\n'),
    /state\.db: it is damaged, .* start the agent again/
  )
})

test('what only the log of the database has counts, and all stays as it is', async t => {
  const folder = await makeRelayFolder(t)
  const { storage, general } = loadConfig(folder)
  const tmp = await temporaryFolder(t)
  const db = openDatabase(join(storage.path, 'state.db'), 'state')
  t.after(() => void db.close())
  db.exec('UPDATE membership SET changes = 99')
  const published = join(dirname(general.nodesListFile), 'published.json')
  await writeFile(published, '{"changes":99}')
  const before = await contentOf(storage.path)
  assert.ok(before.has('state.db-wal'))
  const check = () => treeline(t, ['serve', '--config', folder, '--test'], { TMPDIR: tmp })
  const { code, stderr } = await check()
  assert.equal(code, 0, stderr)
  await writeFile(published, '{"changes":100}')
  assert.equal((await check()).code, 2)
  assert.deepEqual(await contentOf(storage.path), before)
  assert.deepEqual(await readdir(tmp), [])
})

test('a database that is too large, or cannot be copied, is not looked into, and a note says so', async t => {
  const folder = await makeRelayFolder(t)
  const { storage } = loadConfig(folder)
  const state = join(storage.path, 'state.db')
  await overwritePage(state, 'runs')
  const found = await lookIntoStorage(storage.path, 'relay', [], 4_096)
  assert.deepEqual(found, { problems: [], notes: [`${state} was not looked into: it has more than 4096 bytes`] })
  const { code, stderr } = await treeline(t, ['serve', '--config', folder, '--test'], { TMPDIR: '/dev/null' })
  assert.equal(code, 0)
  assert.match(
    stderr,
    /note: \S+state\.db was not looked into: no temporary file can be made in \/dev\/null: it is no folder;/
  )
})

const ONE_FILE = `INSERT INTO shared_files (target, source, file_id, size_bytes, algorithm, hash, accepted_at, stored_at, expires_at, metadata)
  VALUES ('a', 'b', 'c', 1, 'sha256', '00', 1, 1, 1, '')`

function withDatabase(file: string, use: (db: Database) => void): void {
  const db = openDatabase(file, 'state')
  use(db)
  db.close()
}

/** Overwrites the first page of a table. */
async function overwritePage(file: string, table: string): Promise<void> {
  let at = 0
  withDatabase(file, db => {
    const page = db.prepare<[string], number>('SELECT rootpage FROM sqlite_schema WHERE name = ?').pluck().get(table)
    at = (Number(page) - 1) * Number(db.pragma('page_size', { simple: true }))
  })
  const opened = await open(file, 'r+')
  await opened.write(Buffer.alloc(300, 0xff), 0, 300, at)
  await opened.close()
}

async function contentOf(folder: string): Promise<Map<string, string>> {
  const files = (await readdir(folder, { withFileTypes: true })).filter(entry => entry.isFile())
  const read = async (name: string) => [name, (await readFile(join(folder, name))).toString('base64')] as const
  return new Map(await Promise.all(files.map(({ name }) => read(name))))
}
