import assert from 'node:assert/strict'
import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { treelineCommand } from '../../demo/relay-process.js'
import { eventually } from '../support/eventually.js'
import { startProcess } from '../support/machine/treeline-command.js'
import { ask, postForm } from '../support/network/http.js'
import { startTree } from '../support/relays/relay-tree.js'

/** More than a relay that does nothing has open, and less than one with a crowd. */
const MOST_FILES = 64
const CROWD = 100

test('what a relay failed to load while it had no file left is loaded once it has', async t => {
  const tree = await startTree(t, {
    relays: [
      { id: 'root', under: 'root', nodes: [] },
      { id: 'sub', under: 'root', nodes: ['s1'] },
      { id: 'linked', under: 'root', nodes: ['l1'], byLink: true }
    ],
    absent: ['root', 'linked']
  })
  const root = tree.relay('root')
  const { program, args } = treelineCommand(['serve', '--config', root.directory])
  const running = startProcess(t, '/bin/sh', ['-c', `ulimit -n ${MOST_FILES} && exec "$@"`, 'sh', program, ...args], {})
  await running.printed('"msg":"ready"')

  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  const askEarly = (method: string, path: string) =>
    new Promise<number>((resolve, reject) => {
      const asked = request(root.localUrl + path, { method, agent }, response => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0))
      })
      asked.on('error', reject).end()
    })
  assert.equal(await askEarly('GET', '/uuid'), 200)
  const { hostname, port } = new URL(root.localUrl)
  const crowd = Array.from({ length: CROWD }, () => {
    const socket = connect(Number(port), hostname).on('error', () => undefined)
    socket.write('GET /uuid HTTP/1.1\r\nHost: x\r\nX: ')
    return socket
  })
  t.after(() => crowd.map(socket => socket.destroy()))
  const files = `/proc/${running.child.pid}/fd`
  await eventually('no file is left', () => readdirSync(files).length >= MOST_FILES)
  assert.equal(await askEarly('GET', '/metrics'), 503)
  await askEarly('POST', '/remote-run/nodes/s1')
  assert.ok(!running.soFar().includes('agent of s1'))

  for (const socket of crowd) socket.destroy()
  await eventually('the crowd is gone', () => readdirSync(files).length < MOST_FILES / 2 + 16)
  assert.equal((await ask(root, '/metrics')).status, 200)
  const isRun = async (node: string) =>
    (await postForm(root, `/remote-run/nodes/${node}`, { keep_output: 'true' })).text.includes('agent of')
  await eventually('a relay below is asked', () => isRun('s1'))
  await tree.restart('linked')
  await eventually('a link opens', () => isRun('l1'))
})

test('the program as it ships has no import that keeps a failure, but of what is loaded at its start', () => {
  const [main = ''] = treelineCommand([]).args
  const version = /\.\/([0-9a-f]{16})\/main\.js/.exec(readFileSync(main, 'utf8'))?.[1] ?? ''
  const folder = join(dirname(realpathSync(main)), version)
  const imports = readdirSync(folder)
    .filter(name => name.endsWith('.js') && name !== 'late-import.js')
    .flatMap(name => [...readFileSync(join(folder, name), 'utf8').matchAll(/\bimport\("([^"]+)"\)/g)])
  assert.deepEqual(imports.map(([, specifier]) => specifier).sort(), ['bufferutil', 'pino-pretty'])
})
