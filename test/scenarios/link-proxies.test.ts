import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { REVOCATIONS_PATH } from '../../src/membership/revocations/revocation-inquiry.js'
import { TREE_PATH } from '../../src/tree-sync/tree-sync.js'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/network/http.js'
import { startHttpdForLinks, whyNoHttpd } from '../support/network/httpd.js'
import { makeCertificate } from '../support/network/openssl-certificate.js'
import {
  type Front,
  HTTP_PROXIES,
  OWN,
  REVERSE_PROXIES,
  startHttpProxy,
  startReverseProxy,
  whyNot
} from '../support/network/proxies.js'
import { addProxyListen, changeConfig, reachUpstreamAt } from '../support/relays/relay-behind-proxy.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

const LARGE_BYTES = 64 * 1024 * 1024
const SETTINGS = { shared_files: ['max_body_size = "1GiB"'] }
const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1'] },
  { id: 'relay-a', under: 'root', nodes: ['node-a1'], byLink: true }
]

/** Below the prefix of the API. */
const UPWARD = [
  ...['shared-files/node-a1/node-a1/f', 'shared-folder/f', 'trace/node-a1', TREE_PATH, REVOCATIONS_PATH],
  ...['v1/join/ca', 'v1/join', 'v1/join/renew']
]

async function linksOf(tree: RunningTree): Promise<{ id: string; lanes: number; received: number; sent: number }[]> {
  return JSON.parse((await ask(tree.relay('root'), '/v1/relay/links')).text).result
}

const LANES = ['auto', 'websocket'] as const
type Lanes = (typeof LANES)[number]

/** Has the lanes of relay-a, which is not started yet, be of that kind. */
function setLanes(tree: RunningTree, lanes: Lanes): Promise<void> {
  return changeConfig(tree.relay('relay-a'), /\[links\]\n/, `[links]\nlane = "${lanes}"\n`)
}

/** Whether relay-a asked for raw bytes, and opened a WebSocket in place of them. */
function fellBack(tree: RunningTree): boolean {
  return tree.processes.get('relay-a')?.log.some(line => line.includes('raw bytes do not pass')) === true
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

for (const name of HTTP_PROXIES) {
  for (const lanes of LANES)
    test(`links and lanes (${lanes}) through an HTTP proxy: ${name}`, { skip: whyNot(name) }, async t => {
      const tree = await startTree(t, { relays: RELAYS, absent: ['relay-a'], settings: SETTINGS })
      await setLanes(tree, lanes)
      const { port, process: proxy } = await startHttpProxy(t, name, tree.folder)
      const proxyHere = {
        HTTPS_PROXY: '',
        https_proxy: `user:100%@127.0.0.1:${port}`,
        NO_PROXY: '10.0.0.0/8',
        no_proxy: ''
      }
      const relay = await tree.start('relay-a', proxyHere)
      t.after(() => relay.signal('SIGKILL'))
      await assertAllWorks(tree)
      assert.equal(fellBack(tree), false)
      proxy.kill('SIGKILL')
      await eventually('the loss of what went through it', async () => (await linksOf(tree)).length === 0)
    })
}

const FRONTS = [...REVERSE_PROXIES, 'httpd', 'httpd with upgrade=ANY'] as const
type FrontName = (typeof FRONTS)[number]

/**
 * Has relay-a reach the root through a web server that ends the TLS, and that has an address of its own there. Neither
 * may be started yet.
 * @returns the port of the web server
 */
async function putFrontBefore(t: TestContext, tree: RunningTree, name: FrontName) {
  const folder = join(tree.folder, 'front')
  await mkdir(folder)
  const { certFile: cert, keyFile: key } = await makeCertificate(join(folder, 'front')) // a web server's: of no node
  const front = { cert, key, plain: await addProxyListen(tree.relay('root')) }
  const { port } = await startFront(t, name, folder, front)
  const relayA = tree.relay('relay-a')
  await reachUpstreamAt(relayA, port)
  await changeConfig(relayA, /(server_certificate_file = ")[^"]*"/, `$1${cert}"`)
  return port
}

function startFront(t: TestContext, name: FrontName, folder: string, front: Front): Promise<{ readonly port: number }> {
  if (name === 'httpd') return startHttpdForLinks(t, folder, front)
  if (name === 'httpd with upgrade=ANY') return startHttpdForLinks(t, folder, front, 'ANY')
  return startReverseProxy(t, name, folder, front)
}

for (const name of FRONTS) {
  const skip = name.startsWith('httpd') ? whyNoHttpd : whyNot(name)
  test(`behind a reverse proxy that ends the TLS: ${name}`, { skip }, async t => {
    const tree = await startTree(t, { relays: RELAYS, absent: ['root', 'relay-a'], settings: SETTINGS })
    const root = tree.relay('root')
    const port = await putFrontBefore(t, tree, name)
    await Promise.all(['root', 'relay-a'].map(id => tree.restart(id)))
    await assertAllWorks(tree)
    assert.equal(fellBack(tree), name === 'httpd')

    await t.test('nobody becomes a local caller by it', async () => {
      for (const path of ['/v1/relay/links', '/rudder/relay-api/outbox', '/outbox']) {
        const status = await statusThrough(port, path)
        assert.ok(status === 403 || status === 404, `${path}: ${status}`)
      }
      assert.equal((await ask(root, '/v1/relay/links')).status, 200)
    })

    await t.test('what members ask their policy server for comes to the relay', async () => {
      for (const path of UPWARD) {
        const { headers, statusCode } = await answerThrough(port, `/rudder/relay-api/${path}`)
        assert.doesNotMatch(headers['content-type'] ?? '', /html/, `${path}: ${statusCode} of the web server`)
      }
    })

    await t.test('lanes that are to be WebSockets', async () => {
      await tree.processes.get('relay-a')?.stop()
      await eventually('the end of the link', async () => (await linksOf(tree)).length === 0)
      await setLanes(tree, 'websocket')
      await tree.restart('relay-a')
      await assertAllWorks(tree)
      assert.equal(fellBack(tree), false)
    })

    await t.test('a file that goes up', async () => {
      const file = signContent('node-r1', tree.member('node-a1'), 'upward', randomBytes(300_000))
      const put = await ask(tree.relay('relay-a'), `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
      assert.equal(put.status, 200, put.text)
    })
  })
}

test('what is refused while the link is away waits for it, and is taken then', async t => {
  const settings = { links: ['accept = false'], shared_files: ['require_sender = true'] }
  const tree = await startTree(t, { relays: RELAYS, absent: ['root', 'relay-a'], settings })
  const [root, relayA] = [tree.relay('root'), tree.relay('relay-a')]
  await putFrontBefore(t, tree, OWN)
  await Promise.all(['root', 'relay-a'].map(id => tree.restart(id)))
  const file = signContent('node-r1', tree.member('node-a1'), 'early', 'before there was a link')
  const put = await ask(relayA, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body, as: tree.member('node-a1') })
  assert.deepEqual([put.status, put.headers['treeline-state']], [202, 'pending'], put.text)
  assert.match((await ask(relayA, '/outbox')).text, /answered 403 while there is no link to it/)
  await changeConfig(root, /accept = false/, 'accept = true')
  tree.processes.get('root')?.signal('SIGKILL')
  await tree.processes.get('root')?.ended
  await tree.restart('root')
  const taken = await eventually('the file', async () => {
    const answer = await ask(root, file.path, { as: tree.member('node-r1') })
    return answer.status === 200 && answer.text
  })
  assert.equal(taken, 'before there was a link')
})

async function statusThrough(port: number, path: string): Promise<number> {
  return (await answerThrough(port, path)).statusCode ?? 0
}

function answerThrough(port: number, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, rejectUnauthorized: false }, response => resolve(response.resume()))
      .on('error', reject)
      .end()
  })
}
