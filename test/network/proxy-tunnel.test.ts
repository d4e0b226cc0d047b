import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { before, type TestContext, test } from 'node:test'
import { type CertificateMaterial, makeAgentCertificate } from '../../demo/pki.js'
import { openWebSocket } from '../../src/links/lower/open-web-socket.js'
import { proxyFor } from '../../src/links/lower/proxy.js'
import { fetchCa } from '../../src/membership/member/join-client.js'
import { startNamingProxy } from '../support/network/naming-proxy.js'
import { openServer } from '../support/network/open-server.js'
import { startHttpsPeer } from '../support/network/tls-peer.js'
import { startNeighbours } from '../support/parts/neighbours.js'

let peerCertificate: CertificateMaterial

before(async () => {
  peerCertificate = await makeAgentCertificate({ nodeId: 'root', hostname: 'root.example.com' })
})

/** For this process, until the test ends. */
function setProxy(t: TestContext, values: { readonly HTTPS_PROXY: string; readonly NO_PROXY?: string }): void {
  const { HTTPS_PROXY, NO_PROXY, no_proxy } = process.env
  const former = { HTTPS_PROXY, NO_PROXY, no_proxy }
  Object.assign(process.env, { NO_PROXY: '', no_proxy: '', ...values })
  t.after(() => {
    for (const [name, value] of Object.entries(former)) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })
}

async function startAbove(t: TestContext, host: string) {
  const peer = await startHttpsPeer(t, peerCertificate, (_request, response) => response.end('done'))
  const { neighbours } = await startNeighbours(t, {
    host,
    port: peer.port,
    upstream: { certificate: peerCertificate },
    connectTimeoutMs: 300
  })
  const ask = () => neighbours.up().request({ method: 'GET', path: 'x', headers: {} })
  return { ask, peer }
}

test('the policy server is reached through the proxy, by its name there and with its credentials', async t => {
  const proxy = await startNamingProxy(t)
  setProxy(t, { HTTPS_PROXY: `http://user:p%40ss@127.0.0.1:${proxy.port}` })
  const { ask, peer } = await startAbove(t, 'root.known-to-the-proxy.test')
  for (let count = 0; count < 5; count += 1) {
    const outcome = await ask()
    assert.ok(outcome.kind === 'answered', JSON.stringify(outcome))
    assert.equal(await text(outcome.body), 'done')
  }
  assert.ok(proxy.asked.length < 5, 'connections are kept')
  const [{ url, headers } = { url: '', headers: {} }] = proxy.asked
  assert.equal(url, `root.known-to-the-proxy.test:${peer.port}`)
  assert.equal(headers.host, url)
  assert.equal(headers['proxy-authorization'], `Basic ${Buffer.from('user:p@ss').toString('base64')}`)
})

test('NO_PROXY leads there without one', async t => {
  setProxy(t, { HTTPS_PROXY: 'http://127.0.0.1:1', NO_PROXY: '127.0.0.1' })
  const { ask } = await startAbove(t, '127.0.0.1')
  assert.equal((await ask()).kind, 'answered')
})

test('relays below are reached without one', async t => {
  setProxy(t, { HTTPS_PROXY: 'http://127.0.0.1:1' })
  const peer = await startHttpsPeer(t, peerCertificate, (_request, response) => response.end('done'))
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [peerCertificate] })
  assert.equal((await neighbours.down('relay1').request({ method: 'GET', path: 'x', headers: {} })).kind, 'answered')
})

test('whatever is wrong with the proxy is told, without its credentials, and nothing was sent', async t => {
  const refusing = createServer().on('connect', (_request, socket: Duplex) =>
    socket.end('HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n')
  )
  const rubbish = createTcpServer(socket => socket.on('data', () => socket.end('220 mail.example.com ESMTP\r\n')))
  const silent = createTcpServer(socket => socket.resume())
  const closing = createTcpServer(socket => socket.on('data', () => socket.destroy()))
  const cases: readonly (readonly [url: string, reason: RegExp])[] = [
    [
      `http://user:secret@127.0.0.1:${await openServer(t, refusing)}`,
      /the proxy http:\/\/127\.0\.0\.1:\d+ refuses .*\(407\)/
    ],
    [
      `http://user:secret@127.0.0.1:${await openServer(t, rubbish)}`,
      /the proxy http:\/\/127\.0\.0\.1:\d+: what it sends is not HTTP/
    ],
    [`http://user:secret@127.0.0.1:${await openServer(t, silent)}`, /: it was silent for 300 ms/],
    [`http://user:secret@127.0.0.1:${await openServer(t, closing)}`, /the proxy .*: it closed the connection/],
    ['http://user:secret@127.0.0.1:1', /the proxy .*ECONNREFUSED/],
    ['socks5://user:secret@127.0.0.1', /HTTPS_PROXY is no URL/]
  ]
  for (const [url, reason] of cases) {
    await t.test(String(reason), async t => {
      setProxy(t, { HTTPS_PROXY: url })
      const { ask, peer } = await startAbove(t, '127.0.0.1')
      const outcome = await ask()
      assert.ok(outcome.kind === 'unreachable', outcome.kind)
      assert.match(outcome.reason, reason)
      assert.doesNotMatch(outcome.reason, /secret/)
      assert.equal(outcome.sent, false)
      assert.equal(peer.connections(), 0)
    })
  }
})

test('a link and a join tell what is wrong with the proxy as that, without its credentials', async t => {
  const refusing = createServer().on('connect', (_request, socket: Duplex) =>
    socket.end('HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n')
  )
  const cases: readonly (readonly [port: number, reason: RegExp])[] = [
    [
      await openServer(t, refusing),
      /: the proxy http:\/\/127\.0\.0\.1:\d+ refuses .* root\.example\.com:8443 \(407\)$/
    ],
    [1, /: the proxy http:\/\/127\.0\.0\.1:1: connection refused: nothing listens there \(ECONNREFUSED\)$/]
  ]
  for (const [port, reason] of cases) {
    await t.test(String(reason), async t => {
      setProxy(t, { HTTPS_PROXY: `http://user:secret@127.0.0.1:${port}` })
      const upper = { url: 'wss://root.example.com:8443', tls: {}, pins: undefined }
      const opening = openWebSocket(upper, new AbortController().signal, async () => undefined)
      await assert.rejects(opening, { message: reason })
      const url = new URL('https://root.example.com:8443')
      const joining = fetchCa({ url, agent: proxyFor(url.href) }, { caHash: Buffer.alloc(32) })
      await assert.rejects(joining, { name: 'JoinError', message: reason })
    })
  }
})

test('a join goes through the proxy, by a name that is known there alone', async t => {
  const proxy = await startNamingProxy(t)
  const answer = JSON.stringify({ ca: peerCertificate.certificatePem, relay: 'root' })
  const peer = await startHttpsPeer(t, peerCertificate, (_request, response) => response.end(answer))
  const url = new URL(`https://root.known-to-the-proxy.test:${peer.port}`)
  const agent = proxyFor(url.href, { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` })
  const caHash = createHash('sha256').update(peerCertificate.certificateDer).digest()
  const ca = await fetchCa({ url, agent }, { caHash })
  assert.deepEqual([ca.relay, proxy.asked.map(asked => asked.url)], ['root', [url.host]])
})
