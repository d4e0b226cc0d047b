import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { treeline } from '../support/machine/treeline-command.js'
import { startAgent } from '../support/relays/agents.js'
import { startTree } from '../support/relays/relay-tree.js'
import { editConfig } from '../support/relays/tree-files.js'

const RELAYS = [{ id: 'root', under: 'root', nodes: ['node-1'] }]
const NOWHERE = '/nonexistent/place'

const dangling = (path: string) => symlinkSync(NOWHERE, path)
const fifo = (path: string) => void execFileSync('mkfifo', [path])
const file = (path: string) => writeFileSync(path, '')
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
