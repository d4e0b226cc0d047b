import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { connect } from 'node:tls'
import { promisify } from 'node:util'
import { makeAgentCertificate } from '../../demo/pki.js'
import type { TreeRelay } from '../../demo/relay-tree.js'
import { ask } from '../support/network/http.js'
import { rawClient, statusesIn } from '../support/network/raw-client.js'
import { assertServes } from '../support/relays/relay-health.js'
import { startTree } from '../support/relays/relay-tree.js'

const ROOT_ALONE = [{ id: 'root', under: 'root', nodes: ['n1', 'n2'] }]
const run = promisify(execFile)

function hostOf(relay: TreeRelay): string {
  return new URL(relay.url).host
}

/** What openssl says of a handshake. */
async function handshake(relay: TreeRelay, ...options: string[]): Promise<string> {
  const client = spawn('openssl', ['s_client', '-connect', hostOf(relay), ...options], {
    stdio: ['pipe', 'pipe', 'pipe']
  })
  let text = ''
  for (const stream of [client.stdout, client.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
  }
  client.stdin.on('error', () => undefined).end()
  await once(client, 'close')
  return text
}

/** Sends bytes to a port as they are. @returns whatever comes until the other side closes */
async function sendTo(t: TestContext, relay: TreeRelay, url: string, bytes: string | Buffer): Promise<string> {
  const client = await rawClient(t, { ...relay, localUrl: url })
  client.send(bytes)
  return client.closed
}

test('TLS where there is none, none where there is, and old TLS', async t => {
  const tree = await startTree(t, { relays: ROOT_ALONE, settings: { limits: ['headers_timeout = "1s"'] } })
  const relay = tree.relay('root')

  await t.test('a TLS handshake on the plain listener: 400, and the connection is closed', async t => {
    const { hostname: host, port } = new URL(relay.localUrl)
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false })
    t.after(() => socket.destroy())
    const [error] = await once(socket, 'error')
    assert.match(error.code, /^ERR_SSL_/)
  })

  await t.test('a plain request on the TLS listener: closed, and nothing is answered', async t => {
    const answer = await sendTo(t, relay, relay.url, 'GET /uuid HTTP/1.1\r\nHost: localhost\r\n\r\n')
    assert.deepEqual(statusesIn(answer), [])
  })

  await t.test('rubbish, torn and endless handshakes: closed', async t => {
    const tooLong = Buffer.concat([Buffer.from([0x16, 3, 1, 0xff, 0xff]), Buffer.alloc(70_000)])
    for (const bytes of [Buffer.alloc(10_000, 0xff), tooLong, Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0])]) {
      assert.ok(!(await sendTo(t, relay, relay.url, bytes)).includes('HTTP/1.1'))
    }
  })

  await t.test('a handshake that never comes: closed', async t => {
    assert.equal(await sendTo(t, relay, relay.url, ''), '')
  })

  await t.test('TLS 1.2 and older are refused, after a reload as well', async () => {
    assert.equal((await ask(relay, '/system/reload', { method: 'POST' })).status, 200)
    for (const version of ['-tls1_2', '-tls1_1', '-tls1']) {
      assert.doesNotMatch(await handshake(relay, version), /Cipher is [A-Z]/)
    }
    assert.match(await handshake(relay, '-tls1_3'), /TLSv1\.3, Cipher is TLS_/)
    const refused = await run('curl', ['-sk', '--tls-max', '1.2', `${relay.url}/uuid`]).catch(error => error)
    assert.equal(refused.code, 35)
  })

  await t.test('a renegotiation, which TLS 1.3 has none of, changes nothing', async () => {
    const client = spawn('openssl', ['s_client', '-connect', hostOf(relay), '-tls1_3', '-quiet'])
    client.stdin.on('error', () => undefined)
    client.stdin.write('R\n')
    client.kill()
    await once(client, 'close')
    assert.equal((await ask(relay, '/uuid', { as: null })).text, 'root')
  })

  await t.test('a certificate that nobody knows is that of nobody', async () => {
    const certificate = await makeAgentCertificate({ nodeId: 'n1', hostname: 'n1.example.test' })
    const as = { ...tree.member('n1'), certificate }
    assert.equal((await ask(relay, '/rudder/relay-api/shared-files/n1', { as })).status, 403)
    assert.equal((await ask(relay, '/rudder/relay-api/shared-files/n1', { as: tree.member('n1') })).status, 200)
  })

  await assertServes(tree, relay, 'n1', 'n2')
})
