import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { before, test } from 'node:test'
import { type CertificateMaterial, makeAgentCertificate } from '../../demo/pki.js'
import { startHttpsPeer } from '../support/network/tls-peer.js'
import { assertGot, assertUnreachable, chunks, GET } from '../support/parts/hop-outcomes.js'
import { startNeighbours } from '../support/parts/neighbours.js'

let relay: CertificateMaterial

before(async () => {
  relay = await makeAgentCertificate({ nodeId: 'relay1', hostname: 'relay1.example.com' })
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
