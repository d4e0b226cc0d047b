import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { LanePool } from '../../src/links/upper/lane-pool.js'
import type { LinkStream, LinkStreamOptions } from '../../src/links/wire/transport.js'
import { PieceBudget } from '../../src/network/sources/piece-budget.js'
import { noteOrder } from '../../src/process/pacing/bulk-pacing.js'
import { eventually } from '../support/eventually.js'
import { type TestEnd, TRANSPORT_KINDS, type TransportKind, transportPair } from '../support/network/transport-pairs.js'

const PIECE = Buffer.alloc(64 * 1024, 7)
const PIECES = 128

/** The stream of one end. What goes wrong with it counts where a test looks at it. */
function streamOf({ transport }: TestEnd, options?: LinkStreamOptions): LinkStream {
  return transport.stream(options).on('error', () => undefined)
}

/** How long 8 MiB take while an order is under way, in ms. */
async function transferMs(
  t: TestContext,
  kind: TransportKind,
  bulk: { readonly writer: boolean; readonly reader: boolean }
): Promise<number> {
  const [near, far] = await transportPair(t, kind)
  const writer = streamOf(near, { isBulk: bulk.writer })
  const reader = streamOf(far, { isBulk: bulk.reader })
  noteOrder()
  const orders = setInterval(() => noteOrder(), 5)
  const startedAtMs = performance.now()
  Readable.from(Array.from({ length: PIECES }, () => PIECE)).pipe(writer)
  const received = await buffer(reader)
  clearInterval(orders)
  assert.ok(received.equals(Buffer.alloc(PIECES * PIECE.length, 7)))
  assert.deepEqual([writer.writtenBytes, reader.readBytes], [received.length, received.length])
  return performance.now() - startedAtMs
}

for (const kind of TRANSPORT_KINDS) {
  // 2 ms for each piece: no machine is too slow for this to hold
  for (const [side, bulk] of [
    ['the writer', { writer: true, reader: false }],
    ['the reader', { writer: false, reader: true }]
  ] as const) {
    test(`${kind}: bulk gives way to orders at ${side}, and comes whole`, async t => {
      const tookMs = await transferMs(t, kind, bulk)
      assert.ok(tookMs > PIECES, `it took ${tookMs} ms`)
    })
  }

  test(`${kind}: what is no bulk does not wait for orders`, async t => {
    const [near, far] = await transportPair(t, kind)
    const writer = streamOf(near)
    const reader = streamOf(far)
    const before = far.pauses()
    noteOrder()
    writer.end(PIECE.subarray(0, 1_024))
    assert.equal((await buffer(reader)).length, 1_024)
    assert.equal(far.pauses(), before)
  })

  test(`${kind}: pieces that are too short are not read for a while, and all of them come`, async t => {
    const [near, far] = await transportPair(t, kind)
    const budget = new PieceBudget({ ahead: 100, forgivenPerSecond: 1_000 })
    const reader = streamOf(far, { pieces: budget })
    const before = far.pauses()
    const received = buffer(reader)
    for (let index = 0; index < 400; index += 1) await near.send(Buffer.from('a'))
    near.close()
    assert.equal((await received).length, 400)
    if (kind !== 'raw bytes') assert.ok(far.pauses() > before) // which TCP may put together
  })

  test(`${kind}: bytes that nobody waits for end the stream`, async t => {
    const [near, far] = await transportPair(t, kind)
    const lane = streamOf(far)
    const lanes = new LanePool(1)
    assert.ok(lanes.add(lane))
    void near.send(Buffer.from('HTTP/1.1 200 OK\r\n'))
    const [error] = await once(lane, 'error')
    assert.match(String(error), /nobody had asked for/)
    assert.equal(lanes.count, 0)
    streamOf(near).resume()
    await near.closed
  })

  for (const way of ['reset', 'close'] as const) {
    test(`${kind}: a lane whose other side ends (${way}) while nobody uses it is forgotten`, async t => {
      const [near, far] = await transportPair(t, kind)
      const lanes = new LanePool(1)
      assert.ok(lanes.add(streamOf(far)))
      near[way]()
      await eventually('its end', () => lanes.count === 0)
    })
  }

  test(`${kind}: bytes over a lane that somebody has taken are read`, async t => {
    const [near, far] = await transportPair(t, kind)
    const lanes = new LanePool(1)
    assert.ok(lanes.add(streamOf(far)))
    const lane = await lanes.take(1).lane
    void near.send(Buffer.from('answer'))
    const [bytes] = await once(lane, 'data')
    assert.equal(String(bytes), 'answer')
  })

  test(`${kind}: the end of one side ends both, and what was written before comes`, async t => {
    const [near, far] = await transportPair(t, kind)
    const [asker, answerer] = [streamOf(near), streamOf(far)]
    answerer.write(PIECE)
    const got = buffer(asker)
    const asked = buffer(answerer)
    await once(asker, 'data')
    asker.end('question')
    assert.equal(String(await asked), 'question')
    await got
    await Promise.all([near.closed, far.closed])
    await eventually('the end of both streams', () => asker.destroyed && answerer.destroyed)
    assert.deepEqual([asker.errored, answerer.errored], [null, null])
  })

  test(`${kind}: who reads nothing holds the writer back, and memory is bounded`, async t => {
    const [near, far] = await transportPair(t, kind)
    const [writer, reader] = [streamOf(near), streamOf(far)]
    let written = 0
    const source = new Readable({
      read() {
        written += PIECE.length
        this.push(written > 64 * 1024 * 1024 ? null : PIECE)
      }
    })
    source.pipe(writer)
    let seen = -1
    let isSameSince = 0
    await eventually('a standstill', () => {
      isSameSince = written === seen ? isSameSince + 1 : 0
      seen = written
      return isSameSince > 10
    })
    assert.ok(written < 32 * 1024 * 1024, `${written} bytes were taken`)
    let received = 0
    for await (const chunk of reader) received += chunk.length
    assert.equal(received, 64 * 1024 * 1024)
  })

  test(`${kind}: a break tells who reads and who writes`, async t => {
    const [near, far] = await transportPair(t, kind)
    const stream = streamOf(far)
    const errors: unknown[] = []
    stream.on('error', error => errors.push(error))
    stream.resume().write(PIECE)
    near.reset()
    await eventually('its end', () => stream.destroyed)
    assert.equal(errors.length, 1)
  })
}
