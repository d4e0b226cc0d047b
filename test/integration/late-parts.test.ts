import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { treelineCommand } from '../../demo/relay-process.js'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/network/http.js'
import { startTree } from '../support/relays/relay-tree.js'

async function limitOf(pid: number): Promise<{ readonly soft: string; readonly hard: string }> {
  const limits = await readFile(`/proc/${pid}/limits`, 'utf8')
  const [, soft = '', hard = ''] = /^Max open files +(\S+) +(\S+)/m.exec(limits) ?? []
  return { soft, hard }
}

async function setLimit(pid: number, limit: string): Promise<void> {
  await promisify(execFile)('prlimit', ['--pid', String(pid), `--nofile=${limit}`])
}

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
  const running = await tree.restart('root')
  const { soft, hard } = await limitOf(running.pid)
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
  await setLimit(running.pid, `1:${hard}`) // less than it has open
  assert.equal(await askEarly('GET', '/metrics'), 503)
  await askEarly('POST', '/remote-run/nodes/s1')

  await setLimit(running.pid, `${soft}:${hard}`)
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
