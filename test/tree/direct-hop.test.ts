import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { before, test } from 'node:test'
import { type CertificateMaterial, makeAgentCertificate } from '../../demo/pki.js'
import type { HopOutcome } from '../../src/tree/hop.js'
import { startNeighbours } from '../support/neighbours.js'
import { startHttpsPeer, startRawPeer } from '../support/tls-peer.js'

let relay: CertificateMaterial

before(async () => {
  relay = await makeAgentCertificate({ nodeId: 'relay1', hostname: 'relay1.example.com' })
})

type Unreachable = Extract<HopOutcome, { kind: 'unreachable' }>

function assertUnreachable(outcome: HopOutcome, reason: RegExp, sent: boolean): Unreachable {
  assert.ok(outcome.kind === 'unreachable', outcome.kind)
  assert.match(outcome.reason, reason)
  assert.equal(outcome.sent, sent)
  return outcome
}

function assertGot(outcome: HopOutcome, kind: 'answered' | 'refused', status: number): Readable {
  assert.ok(outcome.kind === kind, JSON.stringify(outcome))
  assert.equal(outcome.status, status)
  return outcome.body
}

const GET = { method: 'GET', path: 'uuid', headers: {} } as const

/** `count` chunks of 64 KiB, made as they are read. */
function chunks(count: number): Readable {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  return Readable.from(
    (function* () {
      for (let index = 0; index < count; index += 1) yield chunk
    })(),
    { objectMode: false }
  )
}

test('path, headers and body arrive as given, without what belongs to one connection', async t => {
  let seen: { url: string | undefined; method: string | undefined; headers: object; body: string } | undefined
  const peer = await startHttpsPeer(t, relay, async (request, response) => {
    seen = { url: request.url, method: request.method, headers: request.headers, body: await text(request) }
    response.setHeader('keep-alive', 'timeout=5').setHeader('connection', 'x-hop').setHeader('x-hop', '1')
    response.setHeader('x-kept', ['a', 'b'])
    response.end('done')
  })
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  const outcome = await neighbours.down('relay1').request({
    method: 'PUT',
    path: 'shared-files/a/b/c?ttl=60',
    headers: {
      'content-length': '5',
      'content-type': 'application/octet-stream',
      'x-request-id': 'r1',
      expect: '100-continue',
      'transfer-encoding': 'chunked',
      connection: 'x-private',
      'x-private': '1',
      host: 'elsewhere'
    },
    body: () => Readable.from([Buffer.from('hello')])
  })
  assert.equal(await text(assertGot(outcome, 'answered', 200)), 'done')
  assert.ok(outcome.kind === 'answered' && outcome.headers['x-kept'] === 'a, b')
  for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'x-hop']) {
    assert.ok(outcome.kind === 'answered' && !(name in outcome.headers), name)
  }
  assert.deepEqual(seen, {
    url: '/rudder/relay-api/shared-files/a/b/c?ttl=60',
    method: 'PUT',
    headers: {
      host: `127.0.0.1:${peer.port}`,
      connection: 'keep-alive',
      'content-type': 'application/octet-stream',
      'x-request-id': 'r1',
      'content-length': '5'
    },
    body: 'hello'
  })
})

test('HEADs share a kept connection', async t => {
  const peer = await startHttpsPeer(t, relay, (_, response) => response.setHeader('content-length', 7).end())
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  for (let count = 0; count < 5; count += 1) {
    const outcome = await neighbours.down('relay1').request({ ...GET, method: 'HEAD' })
    assert.equal(await text(assertGot(outcome, 'answered', 200)), '')
  }
  // A second one, as the first is not free at once.
  assert.ok(peer.connections() <= 2, `${peer.connections()} connections`)
})

test('an unused connection is kept as long as https_idle_timeout says, whatever the neighbour offers', async t => {
  const peer = await startHttpsPeer(t, relay, (_, response) => response.setHeader('keep-alive', 'timeout=600').end())
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay], httpsIdleTimeoutMs: 50 })
  await text(assertGot(await neighbours.down('relay1').request(GET), 'answered', 200))
  const [socket] = peer.sockets
  assert.ok(socket)
  await once(socket, 'close')
})

test('each status has its outcome', async t => {
  const peer = await startHttpsPeer(t, relay, (request, response) => {
    response.statusCode = Number(request.url?.split('/').at(-1))
    response.end('first line\u0007\nsecond line')
  })
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  const hop = neighbours.down('relay1')
  for (const status of [200, 202, 206, 304]) {
    assertGot(await hop.request({ ...GET, path: `${status}` }), 'answered', status).resume()
  }
  for (const status of [400, 401, 403, 404, 413, 422, 451, 499]) {
    const body = assertGot(await hop.request({ ...GET, path: `${status}` }), 'refused', status)
    assert.match(await text(body), /^first line/)
  }
  for (const status of [408, 429, 500, 502, 503, 504, 507, 508]) {
    const outcome = assertUnreachable(await hop.request({ ...GET, path: `${status}` }), /first line$/, true)
    assert.equal(outcome.status, status)
    assert.match(outcome.reason, new RegExp(`^https://127\\.0\\.0\\.1:${peer.port} answered ${status}: `))
  }
})

test('a refused connection is unreachable, with nothing sent', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  server.close()
  await once(server, 'close')
  const { neighbours } = await startNeighbours(t, { port: address.port, pins: [relay] })
  const body = chunks(10)
  const put = { method: 'PUT', path: 'x', headers: {}, body: () => body } as const
  assertUnreachable(await neighbours.down('relay1').request(put), /connection refused/, false)
  assert.ok(body.destroyed)
})

test('a neighbour that takes connections and says nothing is given up', async t => {
  const server = createServer(socket => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const { neighbours } = await startNeighbours(t, { port: address.port, pins: [relay], connectTimeoutMs: 50 })
  assertUnreachable(await neighbours.down('relay1').request(GET), /no connection within/, false)
})

test('what is not TLS, and what is not HTTP, is unreachable', async t => {
  const plain = createServer(socket => {
    socket.on('error', () => undefined)
    socket.end('SSH-2.0-OpenSSH_9.6\r\n')
  }).listen(0, '127.0.0.1')
  await once(plain, 'listening')
  t.after(() => plain.close())
  const address = plain.address()
  assert.ok(address !== null && typeof address === 'object')
  const first = await startNeighbours(t, { port: address.port, pins: [relay] })
  assertUnreachable(await first.neighbours.down('relay1').request(GET), /TLS failed/, false)
  const peer = await startRawPeer(t, relay, socket =>
    socket.once('data', () => socket.write('220 mail.example ESMTP\r\n'))
  )
  const second = await startNeighbours(t, { port: peer.port, pins: [relay] })
  assertUnreachable(await second.neighbours.down('relay1').request(GET), /not HTTP/, true)
})

test('a silent neighbour is given up after the limit, and waited for without one', async t => {
  let release: () => void = () => undefined
  const peer = await startHttpsPeer(t, relay, (request, response) => {
    if (request.url?.endsWith('/waits')) release = () => response.end('at last')
    if (request.url?.endsWith('/within')) response.write('a beginning')
  })
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  const hop = neighbours.down('relay1')
  const waiting = hop.request({ ...GET, path: 'waits', silenceLimitMs: 0 })
  assertUnreachable(await hop.request({ ...GET, path: 'never', silenceLimitMs: 100 }), /silent/, true)
  const within = await hop.request({ ...GET, path: 'within', silenceLimitMs: 100 })
  await assert.rejects(text(assertGot(within, 'answered', 200)), /Body Timeout/i)
  release()
  assert.equal(await text(assertGot(await waiting, 'answered', 200)), 'at last')
})

test('a break within the answer is an error of its body', async t => {
  const peer = await startHttpsPeer(t, relay, (request, response) => {
    response.setHeader('content-length', 100)
    response.write('half', () => request.socket.destroy())
  })
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  await assert.rejects(text(assertGot(await neighbours.down('relay1').request(GET), 'answered', 200)))
})

test('a break before the answer is unreachable, and not asked again', async t => {
  let count = 0
  const peer = await startHttpsPeer(t, relay, request => {
    count += 1
    request.socket.destroy()
  })
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  assertUnreachable(await neighbours.down('relay1').request(GET), /closed the connection/, true)
  assert.equal(count, 1)
})

test('a kept connection that the neighbour closed is replaced', async t => {
  const peer = await startHttpsPeer(t, relay, async (request, response) => response.end(await text(request)))
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  const put = { method: 'PUT', path: 'x', headers: {}, body: () => Readable.from([Buffer.from('again')]) } as const
  for (let count = 1; count <= 5; count += 1) {
    assert.equal(await text(assertGot(await neighbours.down('relay1').request(put), 'answered', 200)), 'again')
    assert.equal(peer.connections(), count)
    for (const socket of peer.sockets) {
      socket.end()
      await once(socket, 'close')
    }
  }
})

test('an early 413 ends the sending, and is passed on', async t => {
  const peer = await startHttpsPeer(t, relay, (request, response) => {
    response.statusCode = 413
    response.end('too large')
    request.resume()
  })
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  const body = chunks(1_600)
  const outcome = await neighbours.down('relay1').request({
    method: 'PUT',
    path: 'x',
    headers: { 'content-length': String(1_600 * 64 * 1024) },
    body: () => body
  })
  assert.equal(await text(assertGot(outcome, 'refused', 413)), 'too large')
  assert.ok(body.destroyed && !body.readableEnded)
})

test('an error whose text never ends does not keep the sending alive', async t => {
  const peer = await startHttpsPeer(t, relay, (request, response) => {
    response.statusCode = 400
    chunks(Number.POSITIVE_INFINITY).pipe(response)
    request.resume()
  })
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  const body = chunks(Number.POSITIVE_INFINITY)
  const outcome = await neighbours.down('relay1').request({ method: 'PUT', path: 'x', headers: {}, body: () => body })
  assert.equal((await buffer(assertGot(outcome, 'refused', 400))).length, 64 * 1024)
  assert.ok(body.destroyed)
})

test('a body that cannot be read is unreachable, and one of the wrong length too', async t => {
  const peer = await startHttpsPeer(t, relay, (request, response) => {
    request.on('error', () => undefined).resume()
    request.on('end', () => response.end())
  })
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  const hop = neighbours.down('relay1')
  const broken = () =>
    Readable.from(
      (async function* () {
        yield Buffer.from('begun')
        throw new Error('disk gone')
      })()
    )
  assertUnreachable(await hop.request({ method: 'PUT', path: 'x', headers: {}, body: broken }), /disk gone/, true)
  const headers = { 'content-length': '6' }
  const short = { method: 'PUT', path: 'x', headers, body: () => Readable.from([Buffer.from('begun')]) } as const
  assertUnreachable(await hop.request(short), /length/, true)
})

test('an abort rejects with its reason: before, while connecting, while waiting; and ends the answer', async t => {
  let begun: () => void = () => undefined
  const peer = await startHttpsPeer(t, relay, (request, response) => {
    if (request.url?.endsWith('/stream')) response.write('a beginning')
    else begun()
  })
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  const hop = neighbours.down('relay1')
  const reason = new Error('the caller has gone')
  await assert.rejects(hop.request({ ...GET, signal: AbortSignal.abort(reason) }), reason)

  const connecting = new AbortController()
  const first = hop.request({ ...GET, signal: connecting.signal })
  connecting.abort(reason)
  await assert.rejects(first, reason)

  const waiting = new AbortController()
  begun = () => waiting.abort(reason)
  await assert.rejects(hop.request({ ...GET, signal: waiting.signal }), reason)

  const reading = new AbortController()
  const outcome = await hop.request({ ...GET, path: 'stream', signal: reading.signal })
  const body = text(assertGot(outcome, 'answered', 200))
  reading.abort(reason)
  await assert.rejects(body, reason)
})

test('closing ends what is under way, and nothing new is begun', async t => {
  let begun: () => void = () => undefined
  const isBegun = new Promise<void>(resolve => {
    begun = resolve
  })
  const peer = await startHttpsPeer(t, relay, () => begun())
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  const hop = neighbours.down('relay1')
  const underWay = hop.request({ ...GET, silenceLimitMs: 0 })
  await isBegun
  await neighbours.close()
  assertUnreachable(await underWay, /stopping/, true)
  assertUnreachable(await hop.request(GET), /stopping/, false)
})

test('large bodies stream both ways without growing the memory', async t => {
  const peer = await startHttpsPeer(t, relay, (request, response) => request.pipe(response))
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  const count = 4_096
  const outcome = await neighbours.down('relay1').request({
    method: 'PUT',
    path: 'x',
    headers: { 'content-length': String(count * 64 * 1024) },
    body: () => chunks(count)
  })
  let bytes = 0
  let peak = 0
  const before = process.memoryUsage().arrayBuffers
  for await (const chunk of assertGot(outcome, 'answered', 200)) {
    bytes += Buffer.isBuffer(chunk) ? chunk.length : 0
    peak = Math.max(peak, process.memoryUsage().arrayBuffers)
  }
  assert.equal(bytes, count * 64 * 1024)
  assert.ok(peak - before < 96 * 1024 * 1024, `grew by ${peak - before} bytes for ${bytes}`)
})

test('a slow reader slows the neighbour down', async t => {
  let written = 0
  const peer = await startHttpsPeer(t, relay, (_, response) => {
    const source = chunks(16_384)
    source.on('data', () => {
      written += 64 * 1024
    })
    source.pipe(response)
    response.once('drain', () => response.emit('stalled'))
  })
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  const body = assertGot(await neighbours.down('relay1').request(GET), 'answered', 200)
  // Nobody reads: what is written stops growing once all buffers on the way are full.
  let last = -1
  while (written !== last) {
    last = written
    for (let turn = 0; turn < 200; turn += 1) await new Promise(resolve => setImmediate(resolve))
  }
  assert.ok(written < 64 * 1024 * 1024, `${written} bytes for a reader that reads nothing`)
  body.destroy()
})

test('the observer hears of every outcome', async t => {
  const heard: [string, string, boolean][] = []
  const peer = await startHttpsPeer(t, relay, (request, response) => {
    response.statusCode = Number(request.url?.split('/').at(-1))
    response.end()
  })
  const { neighbours } = await startNeighbours(t, {
    port: peer.port,
    pins: [relay],
    observer: (id, kind, durationMs) => heard.push([id, kind, durationMs >= 0])
  })
  for (const status of [200, 404, 503]) {
    const outcome = await neighbours.down('relay1').request({ ...GET, path: `${status}` })
    if (outcome.kind !== 'unreachable') outcome.body.resume()
  }
  assert.deepEqual(heard, [
    ['relay1', 'answered', true],
    ['relay1', 'refused', true],
    ['relay1', 'unreachable', true]
  ])
})

test('a neighbour that showed itself as Treeline is remembered through a restart', async t => {
  let shows = true
  const peer = await startHttpsPeer(t, relay, (_, response) => {
    if (shows) response.setHeader('treeline-relay', '1.2.3')
    response.statusCode = 404
    response.end()
  })
  const options = { port: peer.port, pins: [relay] }
  const first = await startNeighbours(t, options)
  assert.equal(first.neighbours.down('relay1').isTreeline, false)
  shows = false
  assertGot(await first.neighbours.down('relay1').request(GET), 'refused', 404).resume()
  assert.equal(first.neighbours.down('relay1').isTreeline, false)
  shows = true
  assertGot(await first.neighbours.down('relay1').request(GET), 'refused', 404).resume()
  assert.equal(first.neighbours.down('relay1').isTreeline, true)
  await first.stop()

  const second = await startNeighbours(t, { ...options, folder: first.folder })
  assert.equal(second.neighbours.down('relay1').isTreeline, true)
  shows = false
  const outcome = await second.neighbours.down('relay1').request(GET)
  assert.equal(assertUnreachable(outcome, /proxy in front of one that is down/, true).status, 404)
})

test('many requests at once all get their own answer', async t => {
  const peer = await startHttpsPeer(t, relay, (request, response) => response.end(request.url))
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  const hop = neighbours.down('relay1')
  const paths = Array.from({ length: 300 }, (_, index) => createHash('sha256').update(String(index)).digest('hex'))
  const answers = await Promise.all(
    paths.map(async path => text(assertGot(await hop.request({ ...GET, path }), 'answered', 200)))
  )
  assert.deepEqual(
    answers,
    paths.map(path => `/rudder/relay-api/${path}`)
  )
})
