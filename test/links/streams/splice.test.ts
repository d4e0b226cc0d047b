import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { splice } from '../../../src/links/streams/splice.js'
import type { StreamConnection } from '../../../src/links/streams/stream-connection.js'
import { FRAMED_STREAM_WINDOW_BYTES, RESET } from '../../../src/links/streams/stream-protocol.js'
import { connectionPair, listenTo, type StreamPair, until } from '../../support/parts/stream-pairs.js'

interface Chain {
  readonly first: StreamConnection
  readonly last: StreamPair
}

/** Two connections, and a relay between that joins each stream of the first with one of the second. */
async function chain(t: TestContext, isConsumed = true): Promise<Chain> {
  const [near, far] = await Promise.all([connectionPair(t), connectionPair(t, isConsumed)])
  near.take(stream => splice(stream, far.upper.open(Buffer.from('joined'))))
  return { first: near.upper, last: far }
}

test('data, messages and ends go through a relay, in order, both ways', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.boolean(), fc.nat(60_000), fc.boolean()), { minLength: 1, maxLength: 20 }),
      async writes => {
        const { first, last } = await chain(t)
        const stream = first.open(Buffer.from('asked'))
        const back = listenTo(stream)
        await until(() => assert.equal(last.taken.length, 1))
        const [taken] = last.taken
        assert.ok(taken !== undefined)
        const expected = { down: { text: '', bytes: 0 }, up: { text: '', bytes: 0 } }
        for (const [index, [isDown, length, isMessage]] of writes.entries()) {
          const wanted = isDown ? expected.down : expected.up
          const to = isDown ? stream : taken.stream
          if (isMessage) {
            wanted.text += `<${index}>`
            to.message(Buffer.from(String(index)))
          } else if (length > 0) {
            wanted.bytes += length
            to.write(Buffer.alloc(length, 1))
          }
        }
        stream.end()
        taken.stream.end()
        await until(() => assert.deepEqual([back.hasEnded, taken.received.hasEnded], [true, true]))
        const plain = (received: typeof back) => ({
          text: received.text.replaceAll('\u0001', ''),
          bytes: received.bytes
        })
        assert.deepEqual({ down: plain(taken.received), up: plain(back) }, expected)
        assert.deepEqual([first.count, last.upper.count], [0, 0])
        first.close('done')
        last.upper.close('done')
      }
    ),
    { numRuns: 10 }
  )
})

test('a slow reader behind a relay holds the writer back, and the relay keeps no more than windows', async t => {
  const { first, last } = await chain(t, false)
  const stream = first.open(Buffer.from('asked'))
  const { drains } = listenTo(stream)
  const piece = Buffer.alloc(10_000, 1)
  let written = 0
  await until(() => {
    while (stream.write(piece)) written += piece.length
    assert.ok((last.taken[0]?.received.bytes ?? 0) > FRAMED_STREAM_WINDOW_BYTES - 20_000, 'bytes')
  })
  assert.equal(drains, 0)
  assert.ok(written < 4 * FRAMED_STREAM_WINDOW_BYTES, String(written))
  const [taken] = last.taken
  assert.ok(taken !== undefined)
  taken.received.isConsumed = true
  taken.stream.consumed(taken.received.bytes)
  stream.end()
  await until(() => assert.equal(taken.received.hasEnded, true))
  assert.ok(taken.received.bytes >= written)
})

test('a reset goes through a relay with its code and reason, from either side, and so does a lost connection', async t => {
  const { first, last } = await chain(t)
  const streams = [0, 1, 2].map(() => listenTo(first.open(Buffer.from('asked'))))
  await until(() => assert.equal(last.taken.length, 3))
  last.taken[0]?.stream.reset(RESET.refused, 'nobody is there')
  await until(() => assert.deepEqual([streams[0]?.reset?.code, streams[0]?.reset?.message], [2, 'nobody is there']))
  streams[1]?.stream?.reset(RESET.cancelled, 'enough')
  await until(() => assert.deepEqual(last.taken[1]?.received.reset?.message, 'enough'))
  last.lower.close('cut')
  await until(() => assert.equal(streams[2]?.reset?.code, RESET.broken))
  assert.equal(first.count, 0)
})

test('a stream of messages that nobody reads is reset at both sides', async t => {
  const { first, last } = await chain(t, false)
  const stream = first.open(Buffer.from('asked'))
  const back = listenTo(stream)
  await until(() => assert.equal(last.taken.length, 1))
  for (let sent = 0; sent < 1_000; sent += 1) stream.message(Buffer.alloc(1_000, 0x20))
  await until(() => assert.match(back.reset?.message ?? '', /messages wait/))
  await until(() => assert.match(last.taken[0]?.received.reset?.message ?? '', /messages wait/))
})
