import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { ask } from '../support/network/http.js'
import { startAgent } from '../support/relays/agents.js'
import { startTree } from '../support/relays/relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

/** More than any machine reads within a test. It has no blocks, so it takes no room. */
const ENDLESS_BYTES = 8 * 1024 ** 4
const RELAYS = [{ id: 'root', under: 'root', nodes: ['node-1', 'node-2'] }]

function makeEndless(path: string): void {
  writeFileSync(path, '')
  truncateSync(path, ENDLESS_BYTES)
}

/** Whether a process has a file open. */
function holds(pid: number, path: string): boolean {
  const folder = `/proc/${pid}/fd`
  return readdirSync(folder).some(fd => {
    try {
      return readlinkSync(join(folder, fd)) === path
    } catch {
      return false // closed meanwhile
    }
  })
}

test('a relay reads no file of the shared folder on for callers that have left, nor when it stops', async t => {
  const tree = await startTree(t, {
    relays: RELAYS,
    settings: { general: ['stop_timeout = "500ms"'] }
  })
  const root = tree.relay('root')
  const process = tree.processes.get('root')
  const path = join(root.directory, 'shared-folder/endless')
  mkdirSync(join(root.directory, 'shared-folder'), { recursive: true })
  makeEndless(path)
  const url = `/rudder/relay-api/1/shared-folder/endless?hash=${'a'.repeat(64)}`
  const pid = process?.pid ?? 0
  const leaving = new AbortController()
  const left = assert.rejects(ask(root, url, { method: 'HEAD', signal: leaving.signal }))
  await eventually('the reading', () => holds(pid, path))
  leaving.abort()
  await left
  await eventually('its end', () => !holds(pid, path))

  const staying = ask(root, url, { method: 'HEAD' })
  await eventually('the reading for a caller that stays', () => holds(pid, path))
  process?.signal('SIGTERM')
  assert.equal((await staying).status, 503)
  assert.equal(await process?.ended, 0)
})

test('a file that its owner makes endless keeps an agent from no other file, and from no stop', async t => {
  const tree = await startTree(t, { relays: RELAYS })
  const folder = join(tree.folder, 'files')
  mkdirSync(folder)
  const [endless, other, received] = ['endless', 'other', 'received'].map(name => join(folder, name)) as [
    string,
    string,
    string
  ]
  makeEndless(endless)
  writeFileSync(other, 'other')
  const entry = (path: string) =>
    `[[agent.share]]\ntarget = "node-2"\nfile_id = "${path.split('/').pop()}"\npath = "${path}"\nttl = "1h"\n`
  const more = `${entry(endless)}${entry(other)}
[[agent.receive]]
source = "node-2"
file_id = "received"
destination = "${received}"`
  const agent = await startAgent(t, tree, 'node-1', { agent: ['stop_timeout = "500ms"'], more })
  const root = tree.relay('root')
  await eventually('the other file', () => existsSync(join(root.sharedFilesPath, 'node-2/files/node-1/other')))
  const put = signContent('node-1', tree.member('node-2'), 'received', 'received')
  assert.equal((await ask(root, `${put.path}?ttl=1h`, { method: 'PUT', body: put.body })).status, 200)
  await eventually('the file to receive', () => existsSync(received) && readFileSync(received, 'utf8') === 'received')
  const { text } = await ask(root, '/trace/node-1')
  assert.match(text, /endless has 8796093022208 bytes, and agent\.max_share_size is 1073741824: make it smaller/)
  agent.signal('SIGTERM')
  assert.deepEqual(await agent.ended, [0, null])

  const conf = join(agent.directory, 'agent.conf')
  const text2 = readFileSync(conf, 'utf8')
  writeFileSync(conf, text2.replace('[agent]\n', '[agent]\nmax_share_size = "16384GiB"\n'))
  const reader = await agent.restart()
  await eventually('the reading of it', () => holds(reader.pid, endless))
  reader.signal('SIGTERM')
  assert.deepEqual(await reader.ended, [0, null])
  assert.ok(!reader.log.some(line => line.includes('stopping while a file is still being read')))
})
