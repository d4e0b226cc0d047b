import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { copyForOthers } from '../support/machine/other-user.js'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { steppingClock } from '../support/machine/stepping-clock.js'
import { treeline } from '../support/machine/treeline-command.js'
import { startAgent } from '../support/relays/agents.js'
import { startTree } from '../support/relays/relay-tree.js'
import { editConfig } from '../support/relays/tree-files.js'

const RELAYS = [{ id: 'root', under: 'root', nodes: ['node-1'] }]
const NOWHERE = '/nonexistent/place'

const dangling = (path: string) => symlinkSync(NOWHERE, path)
const fifo = (path: string) => void execFileSync('mkfifo', [path])
const file = (path: string) => writeFileSync(path, '')
const large = (path: string) => {
  writeFileSync(path, 'x')
  truncateSync(path, 100 * 1024 ** 2)
}
const linkToFile = (path: string) => {
  writeFileSync(`${path}.else`, '')
  symlinkSync(`${path}.else`, path)
}

test('--test refuses what the start refuses in the place of kept files and of the socket, in the same words', async t => {
  const tree = await startTree(t, { relays: RELAYS })
  const root = tree.relay('root')
  const agent = await startAgent(t, tree, 'node-1')
  agent.signal('SIGTERM')
  await agent.ended
  await tree.processes.get('root')?.stop()
  const socket = join(tree.folder, 'socket')
  await editConfig(root, text => text.replace('[general]\n', `[general]\nsocket = "${socket}"\n`))
  const { storagePath: storage, sharedFilesPath: shared, directory } = root
  const ofAgent = join(agent.directory, 'state')
  for (const [command, folder, path, put] of [
    ['serve', directory, join(storage, 'lock.db'), dangling],
    ['serve', directory, join(storage, 'lock.db'), linkToFile],
    ['serve', directory, join(storage, 'node-id'), dangling],
    ['serve', directory, join(storage, 'state.db'), dangling],
    ['serve', directory, join(shared, '.lock~'), linkToFile],
    ['serve', directory, join(shared, '.node-id~'), dangling],
    ['serve', directory, join(shared, '.node-id~'), large],
    ['serve', directory, join(shared, '.incoming~'), fifo],
    ['serve', directory, join(shared, '.incoming~'), dangling],
    ['serve', directory, join(shared, '.outbox~'), file],
    ['serve', directory, socket, dangling],
    ['serve', directory, socket, linkToFile],
    ['serve', directory, socket, mkdirSync],
    ['agent', agent.directory, join(ofAgent, 'lock.db'), dangling],
    ['agent', agent.directory, join(ofAgent, 'node-id'), dangling],
    ['agent', agent.directory, join(ofAgent, 'state.db'), dangling]
  ] as const) {
    const aside = path === socket ? undefined : `${path}.aside`
    if (aside !== undefined) renameSync(path, aside)
    put(path)
    const what = `${command}: ${path} as a ${put.name}`
    const checked = await treeline(t, [command, '--config', folder, '--test'])
    assert.equal(checked.code, 2, what)
    const started = await treeline(t, [command, '--config', folder])
    assert.equal(started.code, 3, what)
    assert.ok(started.stderr.length < 2_000, `${what}: ${started.stderr.length} characters`)
    const reason = /^treeline: cannot start: (.*)$/m.exec(started.stderr)?.[1] ?? ''
    assert.ok(
      reason !== '' && checked.stderr.includes(`treeline: ${reason}\n`),
      `${what}: ${reason}\n${checked.stderr}`
    )
    assert.ok(!started.stdout.includes('cannot import the nodes list'), started.stdout)
    rmSync(path, { recursive: true })
    if (aside !== undefined) renameSync(aside, path)
  }
  const listener = createServer().listen(socket)
  t.after(() => listener.close())
  assert.equal((await treeline(t, ['serve', '--config', directory, '--test'])).code, 0, 'it may be the relay itself')
})

test('what a killed --test left in the folder for temporary files goes at the next one, and only that', async t => {
  const tree = await startTree(t, { relays: RELAYS })
  const { directory } = tree.relay('root')
  await tree.processes.get('root')?.stop()
  const temporary = join(tree.folder, 'temporary')
  const [pidOfNobody, ownPid] = [2 ** 22 + 1, process.pid]
  const names = [
    `treeline-look-${pidOfNobody}-abcDEF`,
    `treeline-look-${ownPid}-abcDEF`,
    'treeline-look-abcDEF',
    'other'
  ]
  for (const name of names) {
    mkdirSync(join(temporary, name), { recursive: true })
    writeFileSync(join(temporary, name, 'state.db'), '')
  }
  const later = steppingClock(join(tree.folder, 'clock'), { offsetSeconds: 120 }).environment
  const check = (env: NodeJS.ProcessEnv) => treeline(t, ['serve', '--config', directory, '--test'], env)
  assert.equal((await check({ ...later, TMPDIR: temporary })).code, 0)
  assert.deepEqual(readdirSync(temporary).sort(), names.slice(1).sort())

  const missing = join(tree.folder, 'missing')
  const { code, stderr } = await check({ TMPDIR: missing })
  assert.equal(code, 0)
  const why = `state.db was not looked into: no temporary file can be made in ${missing}: it is not there; TMPDIR names another folder\n`
  assert.ok(stderr.includes(why), stderr)
})

testAsRoot('--test by another user than that of the relay takes for no fault what only that one may read', async t => {
  const tree = await startTree(t, { relays: RELAYS })
  const { directory, storagePath, sharedFilesPath, keyFile } = tree.relay('root')
  await tree.processes.get('root')?.stop()
  const run = await copyForOthers(t)
  execFileSync('chmod', ['-R', 'a+rX', tree.folder])
  const state = join(storagePath, 'state.db')
  for (const path of [state, keyFile]) chmodSync(path, 0o600)
  for (const path of [storagePath, sharedFilesPath]) execFileSync('chown', ['-R', '1', path])
  const other = ['setpriv', '--reuid=2', '--regid=2', '--clear-groups']
  const { code, stderr } = await run(other, ['serve', '--config', directory, '--test'])
  assert.equal(code, 0, stderr)
  for (const path of [state, `general.https_key_file ${keyFile}`])
    assert.ok(stderr.includes(`note: ${path} was not looked at: this user may not read it\n`), stderr)
})
