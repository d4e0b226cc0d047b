import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { before, test } from 'node:test'
import { type CertificateMaterial, makeAgentCertificate } from '../../demo/pki.js'
import { TREELINE } from '../../src/hops/dialect.js'
import { eventually } from '../support/eventually.js'
import { startHttpsPeer } from '../support/network/tls-peer.js'
import { assertGot, assertUnreachable, GET } from '../support/parts/hop-outcomes.js'
import { startNeighbours } from '../support/parts/neighbours.js'

let relay: CertificateMaterial

before(async () => {
  relay = await makeAgentCertificate({ nodeId: 'relay1', hostname: 'relay1.example.com' })
})
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
      'content-length': '5',
      'treeline-protocol': '1-2'
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
  assert.equal(first.neighbours.down('relay1').dialect === TREELINE, false)
  shows = false
  assertGot(await first.neighbours.down('relay1').request(GET), 'refused', 404).resume()
  assert.equal(first.neighbours.down('relay1').dialect === TREELINE, false)
  shows = true
  assertGot(await first.neighbours.down('relay1').request(GET), 'refused', 404).resume()
  assert.equal(first.neighbours.down('relay1').dialect === TREELINE, true)
  await first.stop()

  const second = await startNeighbours(t, { ...options, folder: first.folder })
  assert.equal(second.neighbours.down('relay1').dialect === TREELINE, true)
  shows = false
  const outcome = await second.neighbours.down('relay1').request(GET)
  assert.equal(assertUnreachable(outcome, /proxy in front of one that is down/, true).status, 404)
})

test('a neighbour that was put back to an existing relay is one again, from what it does, through a restart', async t => {
  let isTreeline = true
  let nowMs = 0
  const peer = await startHttpsPeer(t, relay, (_, response) => {
    if (isTreeline) response.setHeader('treeline-relay', '1.2.3')
    response.end()
  })
  const options = { port: peer.port, pins: [relay], now: () => nowMs }
  const first = await startNeighbours(t, options)
  const hop = first.neighbours.down('relay1')
  assertGot(await hop.request(GET), 'answered', 200).resume()
  isTreeline = false
  assertGot(await hop.request(GET), 'answered', 200).resume()
  assert.equal(hop.dialect === TREELINE, true, 'two of them behind one name may take turns')
  nowMs = 60_000
  assertGot(await hop.request(GET), 'answered', 200).resume()
  assert.equal(hop.dialect === TREELINE, false)
  await first.stop()
  const second = await startNeighbours(t, { ...options, folder: first.folder })
  assert.equal(second.neighbours.down('relay1').dialect === TREELINE, false)
  isTreeline = true
  assertGot(await second.neighbours.down('relay1').request(GET), 'answered', 200).resume()
  assert.equal(second.neighbours.down('relay1').dialect === TREELINE, true)
})

for (const [what, status, isForgotten] of [
  ['an existing relay, which answers', 200, true],
  ['a proxy in front of a relay that is down, which refuses', 404, false]
] as const) {
  test(`a 404 without our header may be of ${what} a further question`, async t => {
    let nowMs = 0
    let isTreeline = true
    const paths: string[] = []
    const peer = await startHttpsPeer(t, relay, ({ url = '' }, response) => {
      if (isTreeline) response.setHeader('treeline-relay', '1.2.3')
      else paths.push(url)
      response.statusCode = url.endsWith('/system/info') ? status : isTreeline ? 200 : 404
      response.end()
    })
    const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay], now: () => nowMs })
    const hop = neighbours.down('relay1')
    assertGot(await hop.request(GET), 'answered', 200).resume()
    isTreeline = false
    nowMs = 3_600_000
    assertUnreachable(await hop.request(GET), /without being/, true)
    await eventually('the question', () => paths.filter(path => path.endsWith('/system/info')).length === 1)
    if (isForgotten) await eventually('what it learned', () => !(hop.dialect === TREELINE))
    // further refusals in the same minute ask nothing more
    const outcome = await hop.request(GET)
    assert.equal(outcome.kind, isForgotten ? 'refused' : 'unreachable')
    if (outcome.kind !== 'unreachable') outcome.body.resume()
    assert.equal(paths.filter(path => path.endsWith('/system/info')).length, 1)
    assert.equal(hop.dialect === TREELINE, !isForgotten)
  })
}

test('many requests at once all get their own answer', async t => {
  const peer = await startHttpsPeer(t, relay, (request, response) => response.end(request.url))
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay], connectTimeoutMs: 60_000 })
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
