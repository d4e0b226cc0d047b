import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { before, test } from 'node:test'
import { type CertificateMaterial, makeAgentCertificate } from '../../demo/pki.js'
import { RELAY_HEADER } from '../../src/network/header-names.js'
import { startHttpsPeer, startRawPeer } from '../support/network/tls-peer.js'
import { assertGot, assertUnreachable, chunks, GET } from '../support/parts/hop-outcomes.js'
import { startNeighbours } from '../support/parts/neighbours.js'

let relay: CertificateMaterial

before(async () => {
  relay = await makeAgentCertificate({ nodeId: 'relay1', hostname: 'relay1.example.com' })
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
  assertUnreachable(
    await first.neighbours.down('relay1').request(GET),
    /it does not speak TLS: this is a port for plain HTTP/,
    false
  )
  const peer = await startRawPeer(t, relay, socket =>
    socket.once('data', () => socket.write('220 mail.example ESMTP\r\n'))
  )
  const second = await startNeighbours(t, { port: peer.port, pins: [relay] })
  assertUnreachable(await second.neighbours.down('relay1').request(GET), /not HTTP/, true)
})

test('a web server in front that redirects has done nothing in place of the relay, also one of which a relay was seen', async t => {
  let header: Record<string, string> = {}
  let status = 302
  const peer = await startHttpsPeer(t, relay, (_request, response) => {
    response.writeHead(status, { location: 'https://login.example/', ...header }).end('log in first')
  })
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  const ask = (method: 'GET' | 'HEAD' | 'PUT') => neighbours.down('relay1').request({ ...GET, method })
  const reason = /answered 302, as no relay does: a web server in front of it\?/
  for (const method of ['GET', 'HEAD', 'PUT'] as const) assertUnreachable(await ask(method), reason, true)
  header = { [RELAY_HEADER]: '1' }
  status = 304
  assert.equal((await ask('GET')).kind, 'answered')
  header = {}
  status = 302
  assertUnreachable(await ask('GET'), reason, true)
})

test('a neighbour that gives informational answers without end is given up', async t => {
  const peer = await startRawPeer(t, relay, socket => {
    socket.once('data', () => {
      const some = 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100)
      const say = () => socket.write(some, error => error == null && setImmediate(say))
      say()
    })
  })
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  assertUnreachable(await neighbours.down('relay1').request(GET), /more than 32 informational answers \(103\)/, true)
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
