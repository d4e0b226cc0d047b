import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { freePorts } from '../../demo/free-ports.js'
import { openWay, untilClosed, type Way } from '../support/network/half-closing.js'
import { ask } from '../support/network/http.js'
import { head, statusesIn } from '../support/network/raw-client.js'
import { changeConfig } from '../support/relays/relay-behind-proxy.js'
import { startTree } from '../support/relays/relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

const API = '/rudder/relay-api/1'
const HOST = 'Host: localhost'
const CLOSE = 'Connection: close'
const OFFER = ['Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__', 'Connection: Upgrade, HTTP2-Settings']
const WEB_SOCKET = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
const KEY = `Sec-WebSocket-Key: ${'A'.repeat(22)}==`
const LARGE = 8 * 1024 * 1024

/** Sends, and gives all that comes until the relay closes the connection. */
async function say(t: TestContext, way: Way, ...parts: readonly (string | Buffer)[]): Promise<string> {
  const socket = await openWay(t, way)
  const answer = untilClosed(socket)
  for (const part of parts) socket.write(part)
  return answer
}

test('what holds at every listener', async t => {
  const tree = await startTree(t, {
    relays: [{ id: 'root', under: 'root', nodes: ['node-1', 'node-2'] }],
    absent: ['root'],
    agent: '#!/bin/sh\nfor last do :; done\nsleep 0.3\necho "agent of $last"\n'
  })
  const relay = tree.relay('root')
  const [proxyPort = 0] = await freePorts(1)
  const path = join(relay.directory, 'relay.sock')
  const port = Number(new URL(relay.localUrl).port)
  const general = [
    `socket = "${path}"`,
    `proxy_listen = "127.0.0.1:${proxyPort}"`,
    'trusted_proxies = ["127.0.0.1", "::1"]'
  ]
  await changeConfig(relay, /\[general\]/, `[general]\n${general.join('\n')}`)
  await changeConfig(relay, /\nlisten = "[^"]*"/, `\nlisten = "localhost:${port}"`)
  await changeConfig(relay, /\[links\][^[]*|$/, '[links]\naccept = true\n')
  await mkdir(join(relay.directory, 'shared-folder'))
  await writeFile(join(relay.directory, 'shared-folder', 'file'), 'secret')
  await tree.restart('root')
  const policyServer = relay.certificate
  const plain: Way = { name: 'listen', to: { host: '127.0.0.1', port } }
  const proxy: Way = { name: 'proxy_listen', to: { host: '127.0.0.1', port: proxyPort } }
  const tls: Way = {
    name: 'https_listen',
    to: { host: '127.0.0.1', port: Number(new URL(relay.url).port) },
    tls: { cert: policyServer.certificatePem, key: policyServer.privateKeyPem }
  }
  const local: Way = { name: 'socket', to: { path } }
  const all = [plain, proxy, tls, local]

  const addresses = Object.values(networkInterfaces()).flatMap(list => (list ?? []).map(({ address }) => address))
  const loopback = ['127.0.0.1', '::1'].filter(address => addresses.includes(address))
  for (const way of [...loopback.map(host => ({ name: `listen, ${host}`, to: { host, port } })), proxy, tls, local]) {
    await t.test(`${way.name}: our limits and our words`, async t => {
      const crowd = Array.from({ length: 3_000 }, () => 'a:')
      const many = await say(t, way, head('GET /uuid HTTP/1.1', HOST, ...crowd, CLOSE))
      assert.deepEqual(statusesIn(many), [431])
      assert.match(many, /3002 headers; 200 are allowed/)
      const rubbish = await say(t, way, '\0\0\0')
      assert.deepEqual(statusesIn(rubbish), [400])
      assert.match(rubbish, /this is not an HTTP\/1\.1 request/)
      const long = await say(t, way, head('GET /uuid HTTP/1.1', HOST, `X: ${'a'.repeat(20_480)}`))
      assert.match(long, /431 [\s\S]*more than 16384 bytes/)
      const nobody = await say(t, way, head('GET http://localhost/uuid HTTP/1.1', 'X: a'))
      assert.deepEqual(statusesIn(nobody), [400])
      assert.match(nobody, /\r\nConnection: close\r\n[\s\S]*\nthe request has no Host header/i)
      const odd = (...lines: string[]) => head('GET /uuid HTTP/1.1', HOST, ...lines)
      const expects = await say(t, way, odd('Expect: foo') + odd('Expect: bar') + odd('Expect: 100-Continue', CLOSE))
      assert.deepEqual(statusesIn(expects), [417, 417, 200])
      assert.deepEqual(statusesIn(await say(t, way, odd('Expect: 100-continue, x', CLOSE))), [417])
      assert.match(expects, /\nthe request expects "foo"; nothing but 100-continue is met here\n/)
    })
  }

  for (const way of all) {
    await t.test(`${way.name}: a target in absolute form, for the one host that Host names too`, async t => {
      const get = (target: string, ...lines: string[]) => say(t, way, head(`GET ${target} HTTP/1.1`, ...lines, CLOSE))
      for (const target of ['http://localhost/uuid', 'HTTP://LOCALHOST:80/uuid', 'https://localhost:443/uuid?x']) {
        const answer = await get(target, HOST)
        assert.deepEqual(statusesIn(answer), [200], target)
        assert.match(answer, /\r\n\r\nroot/)
      }
      const files = `http://localhost${API}/shared-files/node-1/node-2/none?hash=00`
      assert.match(await say(t, way, head(`HEAD ${files} HTTP/1.1`, HOST, CLOSE)), /^HTTP\/1\.1 404 [\s\S]*\r\n\r\n$/)
      assert.match(await get('http://localhost', HOST), /no such route: GET http:\/\/localhost\n/)
      for (const target of ['http://evil.example/uuid', 'http://localhost:81/uuid', 'http://a@localhost/uuid']) {
        const answer = await get(target, HOST)
        assert.match(answer, /^HTTP\/1\.1 400 [\s\S]*the Host header, "localhost", is not that of the request target/)
      }
      assert.deepEqual(statusesIn(await get('http:///uuid', HOST)), [400])
      const evil = await get('http://evil.example/uuid', 'Host: evil.example')
      const isProven = way === tls || way === local
      assert.deepEqual(statusesIn(evil), [isProven ? 200 : 403])
      const old = await say(t, way, head('GET http://evil.example/uuid HTTP/1.0'))
      assert.deepEqual(statusesIn(old), [isProven ? 200 : 403], 'without Host the target names it')
      const offered = await say(t, way, head('GET http://localhost/uuid HTTP/1.1', HOST, ...OFFER, CLOSE))
      assert.deepEqual(statusesIn(offered), [200])
      const register = head('GET http://evil.example/v1/relay/register HTTP/1.1', HOST, ...WEB_SOCKET, KEY)
      assert.deepEqual(statusesIn(await say(t, way, register)), [400])
    })

    await t.test(`${way.name}: a request with an offer waits for the answers before it`, async t => {
      const form = 'keep_output=true'
      const post = [`POST ${API}/remote-run/nodes/node-1 HTTP/1.1`, HOST, `Content-Length: ${form.length}`]
      const last = head('GET /uuid HTTP/1.1', HOST, ...OFFER.slice(0, 2), 'Connection: upgrade, close')
      const offer = head(...post, ...OFFER) + form
      const count = async () => {
        const { runs } = JSON.parse((await ask(relay, `${API}/runs?limit=1000`)).text) as { runs: object[] }
        return runs.length
      }
      const before = await count()
      const answers = await say(t, way, head(...post) + form + offer + offer + last)
      const mayRun = way !== tls
      assert.deepEqual(statusesIn(answers), mayRun ? [200, 200, 200, 200] : [403, 403, 403, 200])
      assert.match(answers, /\r\n\r\nroot$/)
      assert.equal(await count(), before + (mayRun ? 3 : 0), 'each once')
    })
  }

  for (const way of all) {
    await t.test(`${way.name}: a request line with a version other than 1.0 and 1.1: 505`, async t => {
      const { runs } = JSON.parse((await ask(relay, `${API}/runs?limit=1000`)).text) as { runs: object[] }
      for (const version of ['2.0', '0.9']) {
        for (const host of ['evil.example', 'localhost']) {
          const run = head(`POST ${API}/remote-run/all HTTP/${version}`, `Host: ${host}`, 'Content-Length: 0', CLOSE)
          const answer = await say(t, way, run)
          assert.match(answer, /^HTTP\/1\.1 505 [\s\S]*HTTP\/(2\.0|0\.9) is not spoken here: use HTTP\/1\.1\n$/)
        }
        const link = head(`GET /v1/relay/register HTTP/${version}`, HOST, ...WEB_SOCKET, KEY)
        assert.deepEqual(statusesIn(await say(t, way, link)), [505])
      }
      const after = JSON.parse((await ask(relay, `${API}/runs?limit=1000`)).text) as { runs: object[] }
      assert.equal(after.runs.length, runs.length, 'nothing is run')
    })
  }

  await t.test('an answer that the caller takes slowly is whole, and what waits behind it comes then', async t => {
    const file = signContent('node-1', tree.member('node-2'), 'large', Buffer.alloc(LARGE, 'a'))
    await ask(relay, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
    const socket = await openWay(t, plain)
    const offered = head('GET /uuid HTTP/1.1', HOST, ...OFFER)
    const link = head('GET /v1/relay/register HTTP/1.1', HOST, ...WEB_SOCKET, KEY)
    socket.write(head(`GET ${file.path} HTTP/1.1`, HOST) + offered + head(`GET ${file.path} HTTP/1.1`, HOST) + link)
    await once(socket, 'readable') // it has begun, and goes on when it is read
    const text = untilClosed(socket)
    socket.on('data', (chunk: Buffer) => {
      if (chunk.toString('latin1').includes('101 Switching')) socket.destroy()
    })
    const answer = await text
    assert.deepEqual(statusesIn(answer), [200, 200, 200, 101])
    assert.equal(answer.split('a'.repeat(LARGE)).length, 3)
  })

  await t.test('an offer of a link in HTTP/1.0 is ignored', async t => {
    const socket = await openWay(t, plain)
    socket.write(head('GET /v1/relay/register HTTP/1.0', HOST, ...WEB_SOCKET, KEY))
    const statuses = statusesIn(await untilClosed(socket))
    assert.equal(statuses.length, 1)
    assert.ok((statuses[0] ?? 0) >= 400, String(statuses))
  })

  await t.test('https_listen resumes no session: whoever has one has to show a certificate', async t => {
    const ask = async (more: ConnectionOptions) => {
      const socket = connectTls({ ...tls.to, ...more, rejectUnauthorized: false } as ConnectionOptions)
      t.after(() => socket.destroy())
      const sessions: Buffer[] = []
      socket.on('session', session => sessions.push(session))
      await once(socket, 'secureConnect')
      const isReused = socket.isSessionReused()
      socket.write(head('GET /uuid HTTP/1.1', HOST, CLOSE))
      assert.deepEqual(statusesIn(await untilClosed(socket)), [200])
      return { session: sessions.at(-1), isReused }
    }
    const { session } = await ask({ ...tls.tls })
    assert.ok(session !== undefined && session.length > 0)
    assert.equal((await ask({ session })).isReused, false)
  })

  await t.test('proxy_listen is for the proxy; listen stays for programs of this machine', async () => {
    const get = (way: Way, ...lines: string[]) => say(t, way, head(`GET ${API}/runs HTTP/1.1`, HOST, ...lines, CLOSE))
    assert.deepEqual(statusesIn(await get(plain)), [200])
    const passed = await get(proxy)
    assert.match(passed, /^HTTP\/1\.1 403 [\s\S]*a caller behind a proxy/)
    assert.match(await get(proxy, 'X-Forwarded-For: 192.0.2.1'), /an unknown caller at 192\.0\.2\.1/)
  })

  await t.test('a name that was made to lead here gets nothing by the marks of a proxy', async t => {
    const get = async (way: Way, host: string, ...lines: string[]) => {
      const target = `GET ${API}/shared-folder/file HTTP/1.1`
      const answer = await say(t, way, head(target, `Host: ${host}`, ...lines, CLOSE))
      return [...statusesIn(answer), answer.includes('a web page from elsewhere')]
    }
    const mark = 'X-Forwarded-For: 127.0.0.1'
    for (const way of [plain, proxy]) {
      for (const host of ['rebound.example', `rebound.example:${port}`, '', 'a b']) {
        for (const marks of [
          [mark],
          [mark, 'Via: 1.1 x'],
          ['X-Forwarded-Host: localhost', mark],
          ['Forwarded: for=x']
        ]) {
          assert.deepEqual(await get(way, host, ...marks), [403, true], `${way.name} ${host} ${marks}`)
        }
      }
      // httpd passes its own name for the relay on, others what they were asked by
      for (const host of [`127.0.0.1:${port}`, 'localhost', '192.0.2.7', '[2001:db8::7]:443', relay.hostname]) {
        assert.deepEqual(await get(way, host, mark), [200, false], `${way.name} ${host}`)
      }
    }
  })
})
