import assert from 'node:assert/strict'
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePorts } from '../../demo/free-ports.js'
import { makeAgentCertificate } from '../../demo/pki.js'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/http.js'
import { changeConfig, reachUpstreamAt } from '../support/relay-behind-proxy.js'
import { type RunningTree, startTree } from '../support/relay-tree.js'
import { signContent } from '../support/signed-files.js'

const LARGE_BYTES = 64 * 1024 * 1024
const SETTINGS = { shared_files: ['max_body_size = "1GiB"'] }
const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1'] },
  { id: 'relay-a', under: 'root', nodes: ['node-a1'], byLink: true }
]
const OWN_PROXY = fileURLToPath(new URL('../support/proxy-process.ts', import.meta.url))

function isInstalled(program: string): boolean {
  return spawnSync(program, ['-v']).error === undefined
}

function ownProxy(t: TestContext, ...args: readonly string[]): ChildProcess {
  const child = fork(OWN_PROXY, args, { execArgv: ['--import', 'tsx'], stdio: ['pipe', 'inherit', 'inherit', 'ipc'] })
  t.after(() => child.kill('SIGKILL'))
  return child
}

function run(t: TestContext, program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: 'ignore' })
  t.after(() => child.kill('SIGTERM'))
  return child
}

function untilListens(port: number): Promise<true> {
  return eventually(`port ${port}`, async () => {
    return new Promise<true | undefined>(resolve => {
      const socket = connect({ host: '127.0.0.1', port })
      socket.on('connect', () => resolve(true)).on('error', () => resolve(undefined))
      socket.on('connect', () => socket.destroy())
    })
  })
}

async function linksOf(tree: RunningTree): Promise<{ id: string; lanes: number; received: number; sent: number }[]> {
  return JSON.parse((await ask(tree.relay('root'), '/v1/relay/links')).text).result
}

/** A run and a large file, down the link. */
async function assertAllWorks(tree: RunningTree): Promise<void> {
  const root = tree.relay('root')
  await eventually('the link', async () => (await linksOf(tree)).length === 1)
  const ran = await postForm(root, '/rudder/relay-api/remote-run/nodes/node-a1', { keep_output: 'true' })
  assert.match(ran.text, /^agent of node-a1/m)
  const file = signContent('node-a1', tree.member('node-r1'), 'large', randomBytes(LARGE_BYTES))
  const put = await ask(root, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
  assert.deepEqual([put.status, put.text], [200, ''])
  const [link] = await linksOf(tree)
  assert.ok(link !== undefined && link.sent > LARGE_BYTES && link.lanes > 0, JSON.stringify(link))
  const got = await ask(tree.relay('relay-a'), file.path, { as: tree.member('node-a1') })
  assert.ok(file.content.equals(got.body))
}

const PROXIES = ['tinyproxy', 'the proxy of this test'] as const
for (const name of PROXIES) {
  const skip = name === 'tinyproxy' && !isInstalled('tinyproxy') ? 'it is not installed' : false
  test(`links and lanes through an HTTP proxy: ${name}`, { skip }, async t => {
    const tree = await startTree(t, { relays: RELAYS, absent: ['relay-a'], settings: SETTINGS })
    const [port = 0] = await freePorts(1)
    let proxy: ChildProcess
    if (name === 'tinyproxy') {
      const conf = join(tree.folder, 'tinyproxy.conf')
      const lines = [`Port ${port}`, 'Listen 127.0.0.1', 'Allow 127.0.0.1', 'Timeout 60', `LogFile "${conf}.log"`]
      await writeFile(conf, `${lines.join('\n')}\n`)
      proxy = run(t, 'tinyproxy', ['-d', '-c', conf])
    } else {
      proxy = ownProxy(t, 'connect', String(port))
    }
    await untilListens(port)
    const relay = await tree.start('relay-a', { HTTPS_PROXY: `http://127.0.0.1:${port}`, NO_PROXY: '' })
    t.after(() => relay.signal('SIGKILL'))
    await assertAllWorks(tree)
    proxy.kill('SIGKILL')
    await eventually('the loss of what went through it', async () => (await linksOf(tree)).length === 0)
  })
}

/** The configuration of docs/links.md, with the addresses and files of this test. */
async function nginxConf(folder: string, port: number, plain: string, cert: string, key: string): Promise<string> {
  const page = await readFile(new URL('../../docs/links.md', import.meta.url), 'utf8')
  const [, snippet = ''] = /```nginx\n([\s\S]*?)```/.exec(page) ?? []
  const changed = snippet
    .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replace('/etc/nginx/root.pem', cert)
    .replace('/etc/nginx/root.key', key)
    .replaceAll('http://127.0.0.1:3030', plain)
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${folder}/${kind};`)
  return [
    `daemon off; pid ${folder}/pid; error_log ${folder}/error.log; events {}`,
    `http { access_log off; ${temp.join(' ')}`,
    changed,
    '}'
  ].join('\n')
}

for (const name of ['nginx', 'the proxy of this test'] as const) {
  const skip = name === 'nginx' && !isInstalled('nginx') ? 'it is not installed' : false
  test(`behind a reverse proxy that ends the TLS: ${name}`, { skip }, async t => {
    const tree = await startTree(t, { relays: RELAYS, absent: ['relay-a'], settings: SETTINGS })
    const root = tree.relay('root')
    const [port = 0] = await freePorts(1)
    const front = await makeAgentCertificate({ nodeId: 'front', hostname: '127.0.0.1' })
    const folder = join(tree.folder, 'front')
    await mkdir(folder)
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    await writeFile(cert, front.certificatePem)
    await writeFile(key, front.privateKeyPem)
    if (name === 'nginx') {
      const conf = join(folder, 'nginx.conf')
      await writeFile(conf, await nginxConf(folder, port, root.localUrl, cert, key))
      run(t, 'nginx', ['-c', conf, '-p', folder, '-e', join(folder, 'error.log')])
    } else {
      ownProxy(t, 'tls', String(port), new URL(root.localUrl).port, cert, key)
    }
    await untilListens(port)
    const relayA = tree.relay('relay-a')
    await reachUpstreamAt(relayA, port)
    await changeConfig(relayA, /(server_certificate_file = ")[^"]*"/, `$1${cert}"`)
    await tree.restart('relay-a')
    await assertAllWorks(tree)

    await t.test('nobody becomes a local caller by it', async () => {
      for (const path of ['/v1/relay/links', '/rudder/relay-api/outbox', '/outbox']) {
        const status = await statusThrough(port, path)
        assert.ok(status === 403 || status === 404, `${path}: ${status}`)
      }
      assert.equal((await ask(root, '/v1/relay/links')).status, 200)
    })

    await t.test('a file that goes up', async () => {
      const file = signContent('node-r1', tree.member('node-a1'), 'upward', randomBytes(300_000))
      const put = await ask(relayA, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
      assert.equal(put.status, 200, put.text)
    })
  })
}

function statusThrough(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, rejectUnauthorized: false }, response => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
      .on('error', reject)
      .end()
  })
}
