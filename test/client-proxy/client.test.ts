import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, type IncomingMessage, type RequestListener, request } from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { after, type TestContext, test } from 'node:test'
import { makeAgentCertificate } from '../../demo/pki.js'
import { startClient } from '../../src/client-proxy/start-client.js'
import { MAX_OPEN_REQUESTS } from '../../src/network/sources/open-requests.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { eventually } from '../support/eventually.js'
import { askHalfClosed } from '../support/network/half-closing.js'
import { startUpperSide } from '../support/parts/links.js'
import { startServiceEntry } from '../support/parts/service-entries.js'

const agent = new Agent({ keepAlive: true })
after(() => agent.destroy())

/** A request to the client's service through the entry. */
interface Ask {
  readonly path: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Readable | Buffer
  readonly signal?: AbortSignal
}

/** A client whose base URL is a TLS server of its own with `behind`, and its link. */
async function connected(t: TestContext, behind: RequestListener, basePath = '') {
  const upper = await startUpperSide(t, new Map(), {
    admitClient: ({ key, id, token }) =>
      token === 'secret' ? { owner: { kind: 'client', id: key, clientId: id } } : { refused: 'no' }
  })
  const port = await startServiceEntry(t, upper.registry)
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
  await eventually('the link', () => upper.registry.ofClient('git'))
  return { upper, base, port, client, address }
}

async function ask(port: number, { path, method = 'GET', headers = {}, body, signal }: Ask): Promise<IncomingMessage> {
  const sent = request({ port, path: `/v1/relay/git${path}`, method, headers, agent, ...(signal && { signal }) })
  sent.on('error', () => undefined) // where there was an answer
  const answered = once(sent, 'response')
  if (body instanceof Readable) body.pipe(sent)
  else sent.end(body)
  const [answer] = (await answered) as [IncomingMessage]
  answer.on('error', () => undefined) // its reader is told
  return answer
}

const get = (port: number, path: string, headers: Readonly<Record<string, string>> = {}) => ask(port, { path, headers })

test('a request reaches the base URL as it is, credentials too, and so does the answer', async t => {
  let seen: IncomingMessage | undefined
  const { port, address } = await connected(
    t,
    (request, response) => {
      seen = request
      response.writeHead(404, { 'set-cookie': ['a=1', 'b=2'], 'x-answer': 'yes', 'keep-alive': 'timeout=5' })
      response.end('not here')
    },
    '/base/'
  )
  const sent = { authorization: 'Basic dTpw', cookie: 'c=3', 'x-asked': 'yes', expect: '100-continue' }
  const answer = await get(port, '/a%20b/%2Fc?q=1&r=%2e%2e/', sent)
  assert.equal(answer.statusCode, 404)
  assert.equal(await text(answer), 'not here')
  assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2'])
  assert.equal(answer.headers['x-answer'], 'yes')
  assert.equal(answer.headers['keep-alive'], undefined)
  assert.equal(seen?.url, '/base/a%20b/%2Fc?q=1&r=%2e%2e/')
  const { authorization, cookie, host, expect } = seen?.headers ?? {}
  assert.deepEqual([authorization, cookie, host, expect], ['Basic dTpw', 'c=3', address, '100-continue'])
  assert.equal(seen?.headers['x-asked'], 'yes')
  assert.equal(
    Object.keys(seen?.headers ?? {}).find(name => name.startsWith(':')),
    undefined
  )
})

test('no path leads out of that of the base URL', async t => {
  const { port } = await connected(t, (_request, response) => response.end('reached'), '/base')
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
    const answer = await get(port, path)
    assert.equal(answer.statusCode, 400, path)
    assert.match(await text(answer), /must not contain \.\./)
  }
  for (const path of ['/..x', '/a..b/', '/x?../..']) assert.equal((await get(port, path)).statusCode, 200, path)
})

test('bodies pass in both directions, framed as they came', async t => {
  const { port } = await connected(t, async (request, response) => {
    response.setHeader('x-framing', String(request.headers['content-length'] ?? request.headers['transfer-encoding']))
    for await (const chunk of request) response.write(chunk)
    response.end()
  })
  const content = randomBytes(5_000_000)
  const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  for (const [headers, body, framing, expected] of [
    [{ 'content-length': String(content.length) }, Readable.from([content]), String(content.length), content],
    [{ 'transfer-encoding': 'chunked' }, Readable.from([content]), 'chunked', content],
    [{ 'content-length': '0' }, Buffer.alloc(0), '0', Buffer.alloc(0)],
    [{}, undefined, 'undefined', Buffer.alloc(0)]
  ] as const) {
    const answer = await ask(port, {
      path: '/',
      method: body === undefined ? 'GET' : 'PUT',
      headers,
      ...(body && { body })
    })
    assert.equal(answer.headers['x-framing'], framing)
    assert.equal(hash(await buffer(answer)), hash(expected))
  }
})

test('the first bytes of an answer do not wait for its end, and a caller that leaves ends the request', async t => {
  const left = new AbortController()
  const { port } = await connected(t, (_request, response) => {
    response.on('close', () => left.abort())
    response.writeHead(200)
    response.write('first')
  })
  const stop = new AbortController()
  const answer = await ask(port, { path: '/', signal: stop.signal })
  assert.equal(String((await once(answer, 'data'))[0]), 'first')
  stop.abort()
  if (!left.signal.aborted) await once(left.signal, 'abort')
})

test('a caller that leaves before there is an answer ends the request as well', async t => {
  const asked = new AbortController()
  const left = new AbortController()
  const { port } = await connected(t, (_request, response) => {
    response.on('close', () => left.abort())
    asked.abort()
  })
  const stop = new AbortController()
  const answer = ask(port, { path: '/', signal: stop.signal })
  if (!asked.signal.aborted) await once(asked.signal, 'abort')
  stop.abort()
  await assert.rejects(answer)
  if (!left.signal.aborted) await once(left.signal, 'abort')
})

test('an answer that comes before the body was read arrives, and so does the next one', async t => {
  const { port } = await connected(t, (request, response) => {
    if (request.method === 'GET') return response.end('still here')
    response.writeHead(413, { connection: 'close' }).end('too much')
    return undefined
  })
  const refused = await ask(port, { path: '/', method: 'PUT', body: Readable.from([Buffer.alloc(2_000_000)]) })
  assert.deepEqual([refused.statusCode, await text(refused)], [413, 'too much'])
  assert.equal(await text(await get(port, '/')), 'still here')
})

test('an answer that breaks off does not pass for a whole one, and where there is none it is 502', async t => {
  const { port, base } = await connected(t, (_request, response) => {
    response.writeHead(200)
    response.write('first', () => response.destroy())
  })
  await assert.rejects(text(await get(port, '/')))
  base.close()
  base.closeAllConnections()
  const endless = () => Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(100_000)))
  for (const answer of [await get(port, '/'), await ask(port, { path: '/', method: 'PUT', body: endless() })]) {
    assert.equal(answer.statusCode, 502)
    assert.match(await text(answer), /no answer from the service: ECONNREFUSED/)
  }
})

test('health and metrics, and nothing else', async t => {
  const { client, port: entry, upper } = await connected(t, (_request, response) => response.end())
  ;(await get(entry, '/')).resume()
  const look = (path: string, init: RequestInit = {}) => fetch(`${client.healthAddress}${path}`, init)
  const ready = async () => (await look('/v1/system/ready')).status
  assert.deepEqual(await (await look('/v1/system/alive')).json(), { status: 'alive' })
  assert.deepEqual(await (await look('/v1/system/ready')).json(), { status: 'ready' })
  const metrics = await (await look('/v1/system/metrics')).text()
  assert.match(metrics, /^treeline_client_connected 1$/m)
  assert.match(metrics, /^treeline_client_requests_total\{status="2xx"\} 1$/m)
  assert.match(metrics, /^treeline_client_links_total 1$/m)
  for (const path of ['/', '/metrics', '/v1/system', '/v1/system/alive/x']) assert.equal((await look(path)).status, 404)
  assert.equal((await look('/v1/system/alive', { method: 'POST' })).status, 405)
  const { hostname: host, port } = new URL(client.healthAddress)
  const way = { name: 'health', to: { host, port: Number(port) } }
  const halfClosed = await askHalfClosed(t, way, 'GET /v1/system/metrics HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.match(halfClosed, /^HTTP\/1\.1 200 [\s\S]*treeline_client_connected 1\n/)
  upper.server.close()
  upper.cut()
  await eventually('the loss', async () => (await ready()) === 500)
  assert.equal((await look('/v1/system/alive')).status, 200)
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
