import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { LanePool } from '../../src/links/upper/lane-pool.js'
import { WebSocketStream } from '../../src/links/wire/web-socket-stream.js'
import { PieceBudget } from '../../src/network/sources/piece-budget.js'
import { noteOrder } from '../../src/process/pacing/bulk-pacing.js'

const PIECE = Buffer.alloc(64 * 1024, 7)
const PIECES = 128

/** Two ends of one WebSocket. */
async function socketPair(t: TestContext): Promise<[WebSocket, WebSocket]> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
  await once(server, 'listening')
  const near = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, { perMessageDeflate: false })
  const [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'open')])) as [[WebSocket], unknown]
  t.after(() => {
    near.terminate()
    far.terminate()
    server.close()
  })
  return [near, far]
}

/** How long 8 MiB take while an order is under way, in ms. */
async function transferMs(
  t: TestContext,
  bulk: { readonly writer: boolean; readonly reader: boolean }
): Promise<number> {
  const [near, far] = await socketPair(t)
  const writer = new WebSocketStream(near, { isBulk: bulk.writer })
  const reader = new WebSocketStream(far, { isBulk: bulk.reader })
  noteOrder()
  const orders = setInterval(() => noteOrder(), 5)
  const startedAtMs = performance.now()
  Readable.from(Array.from({ length: PIECES }, () => PIECE)).pipe(writer)
  const received = await buffer(reader)
  clearInterval(orders)
  assert.ok(received.equals(Buffer.alloc(PIECES * PIECE.length, 7)))
  return performance.now() - startedAtMs
}

// 2 ms for each piece: no machine is too slow for this to hold
for (const [side, bulk] of [
  ['whoever writes', { writer: true, reader: false }],
  ['whoever reads', { writer: false, reader: true }]
] as const) {
  test(`bulk gives way to orders at ${side}, and comes whole`, async t => {
    const tookMs = await transferMs(t, bulk)
    assert.ok(tookMs > PIECES, `it took ${tookMs} ms`)
  })
}

test('what is no bulk does not wait for orders', async t => {
  const [near, far] = await socketPair(t)
  const writer = new WebSocketStream(near)
  const reader = new WebSocketStream(far)
  let pauses = 0
  const pause = far.pause.bind(far)
  far.pause = () => {
    pauses += 1
    pause()
  }
  noteOrder()
  writer.end(PIECE.subarray(0, 1_024))
  assert.equal((await buffer(reader)).length, 1_024)
  assert.equal(pauses, 0)
})

test('messages that are too short are not read for a while, and all of them come', async t => {
  const [near, far] = await socketPair(t)
  const budget = new PieceBudget({ ahead: 100, forgivenPerSecond: 10_000 })
  const reader = new WebSocketStream(far, { pieces: budget })
  let pauses = 0
  const pause = far.pause.bind(far)
  far.pause = () => {
    pauses += 1
    pause()
  }
  for (let index = 0; index < 2_000; index += 1) near.send(Buffer.from('a'))
  near.close(1000)
  assert.equal((await buffer(reader)).length, 2_000)
  assert.ok(pauses > 0)
})

test('bytes that nobody waits for end the stream', async t => {
  const [near, far] = await socketPair(t)
  const lane = new WebSocketStream(far)
  const lanes = new LanePool(1)
  assert.ok(lanes.add(lane))
  near.send(Buffer.from('HTTP/1.1 200 OK\r\n'))
  const [error] = await once(lane, 'error')
  assert.match(String(error), /nobody had asked for/)
  assert.equal(lanes.count, 0)
  await once(near, 'close')
})

test('bytes over a lane that somebody has taken are read', async t => {
  const [near, far] = await socketPair(t)
  const lanes = new LanePool(1)
  assert.ok(lanes.add(new WebSocketStream(far)))
  const lane = await lanes.take(1).lane
  near.send(Buffer.from('answer'))
  const [bytes] = await once(lane, 'data')
  assert.equal(String(bytes), 'answer')
})
