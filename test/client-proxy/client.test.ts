import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, RequestListener } from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { makeAgentCertificate } from '../../demo/pki.js'
import { startClient } from '../../src/client-proxy/start-client.js'
import type { UpperLink } from '../../src/links/upper/upper-link.js'
import { MAX_OPEN_REQUESTS } from '../../src/network/sources/open-requests.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { eventually } from '../support/eventually.js'
import { askHalfClosed } from '../support/network/half-closing.js'
import { startUpperSide } from '../support/parts/links.js'

const plain = { headers: {}, silenceLimitMs: 5_000 }

/** A client whose base URL is a TLS server of its own with `behind`, and its link. */
async function connected(t: TestContext, behind: RequestListener, basePath = '') {
  const upper = await startUpperSide(t, new Map(), {
    admitClient: ({ key, id, token }) =>
      token === 'secret' ? { owner: { kind: 'client', id: key, clientId: id } } : { refused: 'no' }
  })
  const certificate = await makeAgentCertificate({ nodeId: 'base', hostname: '127.0.0.1' })
  const base = createServer({ cert: certificate.certificatePem, key: certificate.privateKeyPem }, behind)
  base.listen(0, '127.0.0.1')
  await once(base, 'listening')
  const address = `127.0.0.1:${(base.address() as AddressInfo).port}`
  const client = await startClient({
    serverUrl: upper.url,
    baseUrl: new URL(`https://${address}${basePath}`),
    clientKey: 'git',
    clientId: 'one',
    secrets: { token: 'secret', ca: [upper.certificate.certificatePem, certificate.certificatePem] },
    lostLogLines: () => 0,
    healthListen: { host: '127.0.0.1', port: 0 },
    logger: silentLogger
  })
  t.after(async () => {
    await client.stop()
    base.close()
    base.closeAllConnections()
  })
  const link = await eventually('the link', () => upper.registry.ofClient('git'))
  return { upper, base, link, client, address }
}

function get(link: UpperLink, path: string, headers: Readonly<Record<string, string>> = {}) {
  return link.request({ ...plain, method: 'GET', path, headers })
}

test('a request reaches the base URL as it is, credentials too, and so does the answer', async t => {
  let seen: IncomingMessage | undefined
  const { link, address } = await connected(
    t,
    (request, response) => {
      seen = request
      response.writeHead(404, { 'set-cookie': ['a=1', 'b=2'], 'x-answer': 'yes', 'keep-alive': 'timeout=5' })
      response.end('not here')
    },
    '/base/'
  )
  const sent = { authorization: 'Basic dTpw', cookie: 'c=3', 'x-asked': 'yes', expect: '100-continue' }
  const answer = await get(link, '/a%20b/%2Fc?q=1&r=%2e%2e/', sent)
  assert.equal(answer.status, 404)
  assert.equal(await text(answer.body), 'not here')
  assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2'])
  assert.equal(answer.headers['x-answer'], 'yes')
  assert.equal(answer.headers['keep-alive'], undefined)
  assert.equal(seen?.url, '/base/a%20b/%2Fc?q=1&r=%2e%2e/')
  const { authorization, cookie, host, expect } = seen?.headers ?? {}
  assert.deepEqual([authorization, cookie, host, expect], ['Basic dTpw', 'c=3', address, undefined])
  assert.equal(seen?.headers['x-asked'], 'yes')
  assert.equal(
    Object.keys(seen?.headers ?? {}).find(name => name.startsWith(':')),
    undefined
  )
})

test('no path leads out of that of the base URL', async t => {
  const { link } = await connected(t, (_request, response) => response.end('reached'), '/base')
  for (const path of [
    '/../x',
    '/a/..',
    '/%2e%2E/x',
    '/a/.%2e/x',
    '/..%2fx',
    '/..\\x',
    '/..;/x',
    '/a/..%00',
    '/%252e%252e/x'
  ]) {
    const answer = await get(link, path)
    assert.equal(answer.status, 400, path)
    assert.match(await text(answer.body), /must not contain \.\./)
  }
  for (const path of ['/..x', '/a..b/', '/x?../..']) assert.equal((await get(link, path)).status, 200, path)
})

test('bodies pass in both directions, over the link and over lanes', async t => {
  const { link } = await connected(t, async (request, response) => {
    response.setHeader('x-framing', String(request.headers['content-length'] ?? request.headers['transfer-encoding']))
    for await (const chunk of request) response.write(chunk)
    response.end()
  })
  const content = randomBytes(5_000_000)
  const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  const known = { 'content-length': String(content.length), 'content-type': 'application/octet-stream' }
  const over = await link.request({
    ...plain,
    method: 'PUT',
    path: '/',
    headers: known,
    body: Readable.from([content])
  })
  assert.equal(over.headers['x-framing'], known['content-length'])
  assert.equal(hash(await buffer(over.body)), hash(content))
  const unknown = { 'content-type': 'application/octet-stream' }
  const open = await link.request({
    ...plain,
    method: 'POST',
    path: '/',
    headers: unknown,
    body: Readable.from([content])
  })
  assert.equal(open.headers['x-framing'], 'chunked')
  assert.equal(hash(await buffer(open.body)), hash(content))
  const empty = await link.request({
    ...plain,
    method: 'POST',
    path: '/',
    headers: { ...unknown, 'content-length': '0' },
    body: Buffer.alloc(0)
  })
  assert.deepEqual([empty.headers['x-framing'], await text(empty.body)], ['0', ''])
  const pool = await link.bulk()
  for (let round = 0; round < 3; round += 1) {
    const lane = await pool.request({ method: 'PUT', path: '/', headers: known, body: Readable.from([content]) })
    assert.equal(lane.headers['x-framing'], known['content-length'])
    assert.equal(hash(Buffer.from(await lane.body.arrayBuffer())), hash(content))
  }
  await pool.destroy()
})

test('the first bytes of an answer do not wait for its end, and a caller that leaves ends the request', async t => {
  const left = new AbortController()
  const { link } = await connected(t, (_request, response) => {
    response.on('close', () => left.abort())
    response.writeHead(200)
    response.write('first')
  })
  const stop = new AbortController()
  const answer = await link.request({ ...plain, method: 'GET', path: '/', signal: stop.signal })
  assert.equal(String((await once(answer.body, 'data'))[0]), 'first')
  stop.abort()
  if (!left.signal.aborted) await once(left.signal, 'abort')
})

test('a caller that leaves before there is an answer ends the request as well', async t => {
  const asked = new AbortController()
  const left = new AbortController()
  const { link } = await connected(t, (_request, response) => {
    response.on('close', () => left.abort())
    asked.abort()
  })
  const stop = new AbortController()
  const answer = link.request({ ...plain, method: 'GET', path: '/', signal: stop.signal })
  if (!asked.signal.aborted) await once(asked.signal, 'abort')
  stop.abort()
  await assert.rejects(answer)
  if (!left.signal.aborted) await once(left.signal, 'abort')
})

test('an answer that comes before the body was read arrives, and so does the next one', async t => {
  const { link } = await connected(t, (request, response) => {
    if (request.method === 'GET') return response.end('still here')
    response.writeHead(413, { connection: 'close' }).end('too much')
    return undefined
  })
  const pool = await link.bulk()
  const refused = await pool.request({ method: 'PUT', path: '/', body: Readable.from([Buffer.alloc(2_000_000)]) })
  assert.deepEqual([refused.statusCode, await refused.body.text()], [413, 'too much'])
  const next = await pool.request({ method: 'GET', path: '/' })
  assert.equal(await next.body.text(), 'still here')
  await pool.destroy()
})

test('an answer that breaks off does not pass for a whole one, and where there is none it is 502', async t => {
  const { link, base } = await connected(t, (_request, response) => {
    response.writeHead(200)
    response.write('first', () => response.destroy())
  })
  await assert.rejects(text((await get(link, '/')).body))
  base.close()
  base.closeAllConnections()
  const body = Readable.from([Buffer.alloc(1_000_000)])
  const headers = { 'content-type': 'text/plain' }
  for (const answer of [
    await get(link, '/'),
    await link.request({ ...plain, method: 'PUT', path: '/', headers, body })
  ]) {
    assert.equal(answer.status, 502)
    assert.match(await text(answer.body), /the base URL of the client gave no answer: ECONNREFUSED/)
  }
  const pool = await link.bulk()
  const endless = Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(100_000)))
  const overLane = await pool.request({ method: 'PUT', path: '/', body: endless })
  assert.equal(overLane.statusCode, 502)
  assert.match(await overLane.body.text(), /ECONNREFUSED/)
  await pool.destroy()
})

test('health and metrics, and nothing else', async t => {
  const { client, link, upper } = await connected(t, (_request, response) => response.end())
  await (await get(link, '/')).body.resume()
  const ask = (path: string, init: RequestInit = {}) => fetch(`${client.healthAddress}${path}`, init)
  const ready = async () => (await ask('/v1/system/ready')).status
  assert.deepEqual(await (await ask('/v1/system/alive')).json(), { status: 'alive' })
  assert.deepEqual(await (await ask('/v1/system/ready')).json(), { status: 'ready' })
  const metrics = await (await ask('/v1/system/metrics')).text()
  assert.match(metrics, /^treeline_client_connected 1$/m)
  assert.match(metrics, /^treeline_client_requests_total\{status="2xx"\} 1$/m)
  assert.match(metrics, /^treeline_client_links_total 1$/m)
  for (const path of ['/', '/metrics', '/v1/system', '/v1/system/alive/x']) assert.equal((await ask(path)).status, 404)
  assert.equal((await ask('/v1/system/alive', { method: 'POST' })).status, 405)
  const { hostname: host, port } = new URL(client.healthAddress)
  const way = { name: 'health', to: { host, port: Number(port) } }
  const halfClosed = await askHalfClosed(t, way, 'GET /v1/system/metrics HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.match(halfClosed, /^HTTP\/1\.1 200 [\s\S]*treeline_client_connected 1\n/)
  upper.server.close()
  upper.cut()
  await eventually('the loss', async () => (await ready()) === 500)
  assert.equal((await ask('/v1/system/alive')).status, 200)
})

test('a caller of the health address with too many requests at once is closed, and others are answered', async t => {
  const { client } = await connected(t, (_request, response) => response.end())
  const { hostname: host, port } = new URL(client.healthAddress)
  const socket = connect({ host, port: Number(port) })
  t.after(() => socket.destroy())
  socket.on('error', () => undefined) // a reset ends it as well
  socket.write('GET /v1/system/metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(4 * MAX_OPEN_REQUESTS))
  const ended = new Promise(resolve => socket.once('close', resolve))
  let taken = ''
  const isAnswered = () => taken.split('HTTP/1.1 200').length > 4 * MAX_OPEN_REQUESTS
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    taken += chunk
    if (isAnswered()) socket.destroy()
  })
  await ended
  assert.ok(!isAnswered(), 'all of them were answered')
  assert.equal((await fetch(`${client.healthAddress}/v1/system/alive`)).status, 200)
})
