import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { StreamConnection } from '../../../src/links/streams/stream-connection.js'
import {
  CONNECTION_WINDOW_BYTES,
  FRAME,
  FRAMED_STREAM_WINDOW_BYTES,
  frameHead,
  MAX_HELD_BYTES,
  RESET
} from '../../../src/links/streams/stream-protocol.js'
import {
  connectionPair,
  lanePair,
  listenTo,
  Received,
  type StreamPair,
  until
} from '../../support/parts/stream-pairs.js'

test('data and messages come in order, each direction ends on its own', async t => {
  const { upper, taken } = await connectionPair(t)
  const stream = upper.open(Buffer.from('asked'))
  const answer = listenTo(stream)
  stream.write(Buffer.from('one '))
  stream.message(Buffer.from('between'))
  stream.write(Buffer.from(' two'))
  stream.end()
  await until(() => assert.equal(taken[0]?.received.hasEnded, true))
  assert.deepEqual([taken[0]?.payload, taken[0]?.received.text], ['asked', 'one <between> two'])
  assert.equal(answer.hasEnded, false)
  taken[0]?.stream.write(Buffer.from('answer'))
  taken[0]?.stream.end()
  await until(() => assert.equal(answer.hasEnded, true))
  assert.equal(answer.text, 'answer')
  assert.equal(upper.count, 0)
})

test('both sides open streams on one connection', async t => {
  const asked: string[] = []
  const { upper, lower, taken } = await connectionPair(t, true, (stream, payload) => {
    asked.push(payload.toString())
    listenTo(stream)
    stream.end()
  })
  listenTo(upper.open(Buffer.from('downward'))).stream?.end()
  listenTo(lower.open(Buffer.from('upward'))).stream?.end()
  await until(() => assert.deepEqual([asked, taken.map(({ payload }) => payload)], [['upward'], ['downward']]))
})

test('a reader that passes nothing on gets the window, and the writer is held back and told', async t => {
  const { upper, taken } = await connectionPair(t, false)
  const stream = upper.open(Buffer.from('slow'))
  const { drains } = listenTo(stream)
  const piece = Buffer.alloc(10_000, 1)
  let written = 0
  while (stream.write(piece)) written += piece.length
  assert.ok(written < 2 * FRAMED_STREAM_WINDOW_BYTES, String(written))
  await until(() => assert.ok((taken[0]?.received.bytes ?? 0) > FRAMED_STREAM_WINDOW_BYTES - 20_000, 'bytes'))
  assert.ok((taken[0]?.received.bytes ?? 0) <= FRAMED_STREAM_WINDOW_BYTES)
  assert.equal(drains, 0)
  taken[0]?.stream.consumed(taken[0].received.bytes)
  await until(() => assert.equal((stream.sink as Received).drains, 1))
})

/** Has so many streams send 200 kB each to readers that pass nothing on. */
function openSlow({ upper }: Pick<StreamPair, 'upper'>, count: number): void {
  for (let opened = 0; opened < count; opened += 1) {
    const stream = upper.open(Buffer.from('slow'))
    listenTo(stream)
    for (let sent = 0; sent < 200_000; sent += 10_000) stream.write(Buffer.alloc(10_000, 1))
    stream.end()
  }
}

const heldBy = (taken: StreamPair['taken']) => taken.reduce((sum, { received }) => sum + received.bytes, 0)

test('slow readers of many streams do not hold up another one', async t => {
  const pair = await connectionPair(t, false)
  openSlow(pair, 100)
  await until(() => assert.equal(heldBy(pair.taken), 100 * 200_000))
  pair.upper.open(Buffer.from('quick')).write(Buffer.from('here'))
  await until(() => assert.equal(pair.taken.at(-1)?.received.text, 'here'))
})

test('slow readers hold no more than their bound, and the others go on when they are reset', async t => {
  const pair = await connectionPair(t, false)
  openSlow(pair, 250)
  const { taken } = pair
  await until(() => assert.ok(heldBy(taken) > MAX_HELD_BYTES + CONNECTION_WINDOW_BYTES / 2, String(heldBy(taken))))
  assert.ok(heldBy(taken) <= MAX_HELD_BYTES + CONNECTION_WINDOW_BYTES)
  for (const { stream } of taken.slice(0, 125)) stream.reset(RESET.cancelled, 'enough')
  await until(() => assert.equal(taken.slice(125).filter(({ received }) => received.hasEnded).length, 125))
})

test('slow readers that hold up the others are given up after a while, those with the most first', async t => {
  const [near, far] = await lanePair(t)
  const received: Received[] = []
  const lower = new StreamConnection(far, {
    side: 'lower',
    heldUpLimitMs: 50,
    take: stream => received.push(listenTo(stream, false))
  })
  const upper = new StreamConnection(near, { side: 'upper' })
  openSlow({ upper }, 250)
  await until(() =>
    assert.ok(received.length === 250 && received.every(one => one.hasEnded || one.reset !== undefined))
  )
  assert.match(received.find(one => one.reset !== undefined)?.reset?.message ?? '', /read too slowly/)
  assert.ok(received.filter(one => one.reset === undefined).length > 50)
  assert.equal(lower.isOpen, true)
})

test('a reset ends both directions, and says why', async t => {
  const { upper, lower, taken } = await connectionPair(t)
  const stream = upper.open(Buffer.from('asked'))
  const received = listenTo(stream)
  stream.write(Buffer.alloc(1_000, 1))
  await until(() => assert.equal(taken.length, 1))
  taken[0]?.stream.reset(RESET.refused, 'nobody\nis there')
  await until(() =>
    assert.deepEqual([received.reset?.code, received.reset?.message], [RESET.refused, 'nobodyis there'])
  )
  stream.write(Buffer.from('late'))
  stream.end()
  assert.deepEqual([upper.count, lower.count], [0, 0])
})

test('the end of the connection resets what is open', async t => {
  const { upper, lower, taken } = await connectionPair(t)
  const received = listenTo(upper.open(Buffer.from('asked')))
  await until(() => assert.equal(taken.length, 1))
  lower.close('over')
  await until(() =>
    assert.deepEqual([received.reset?.code, taken[0]?.received.reset?.code], [RESET.broken, RESET.broken])
  )
  assert.equal(taken[0]?.received.reset?.message, 'the connection was lost: over')
  assert.throws(() => upper.open(Buffer.from('more')), { name: 'StreamResetError', code: RESET.refused })
})

test('whatever is written comes, in the order of its stream', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(3), fc.nat(70_000), fc.boolean()), { minLength: 1, maxLength: 40 }),
      async writes => {
        const { upper, lower, taken } = await connectionPair(t)
        const streams = [0, 1, 2, 3].map(number => upper.open(Buffer.from(String(number))))
        const expected = streams.map(() => ({ text: '', bytes: 0 }))
        for (const stream of streams) listenTo(stream)
        for (const [index, [number, length, isMessage]] of writes.entries()) {
          const wanted = expected[number]
          const stream = streams[number]
          if (wanted === undefined || stream === undefined || length === 0) continue
          if (isMessage) {
            wanted.text += `<${index}>`
            stream.message(Buffer.from(String(index)))
          } else {
            wanted.bytes += length
            stream.write(Buffer.alloc(length, 1))
          }
        }
        for (const stream of streams) stream.end()
        await until(() => assert.equal(taken.filter(({ received }) => received.hasEnded).length, 4))
        assert.deepEqual(
          taken.map(({ received: { text, bytes } }) => ({ text: text.replaceAll('\u0001', ''), bytes })),
          expected
        )
        upper.close('done')
        await lower.closed
      }
    ),
    { numRuns: 20 }
  )
})

const data = (stream: number, length: number) =>
  Buffer.concat([frameHead(FRAME.data, stream, length), Buffer.alloc(length)])
const open = (stream: number) => Buffer.concat([frameHead(FRAME.open, stream, 1), Buffer.from('x')])
const windowOf = (stream: number, bytes: number) => {
  const payload = Buffer.alloc(4)
  payload.writeUInt32BE(bytes)
  return Buffer.concat([frameHead(FRAME.window, stream, 4), payload])
}

for (const [what, bytes, reason] of [
  ['a stream that nobody opened', data(1, 1), /stream 1, which nobody opened/],
  ['an id of this side', open(2), /id 2/],
  ['an id twice', Buffer.concat([open(3), open(3)]), /id 3/],
  ['an id that goes back', Buffer.concat([open(3), open(1)]), /id 1/],
  ['data without data', Buffer.concat([open(1), frameHead(FRAME.data, 1, 0)]), /without data/],
  ['a message without bytes', Buffer.concat([open(1), frameHead(FRAME.message, 1, 0)]), /message without bytes/],
  ['a frame that is too long', frameHead(FRAME.open, 1, 100_000), /100000 bytes/],
  ['an unknown type', Buffer.concat([open(1), frameHead(77, 1, 0)]), /type 77/],
  ['data behind the end', Buffer.concat([open(1), frameHead(FRAME.end, 1, 0), data(1, 1)]), /behind the end/],
  ['a second end', Buffer.concat([open(1), frameHead(FRAME.end, 1, 0), frameHead(FRAME.end, 1, 0)]), /ended twice/],
  [
    'more than the window',
    Buffer.concat([open(1), ...Array.from({ length: 17 }, () => data(1, 16_384))]),
    /window of a stream/
  ],
  ['a window of 3 bytes', Buffer.concat([open(1), frameHead(FRAME.window, 1, 3), Buffer.alloc(3)]), /4 bytes/],
  ['a frame of the connection itself that is none', frameHead(FRAME.end, 0, 0), /of the connection itself/],
  ['a window beyond all', Buffer.concat([open(1), windowOf(1, 0xffffffff)]), /too large/],
  ['a window of the connection beyond all', windowOf(0, 0xffffffff), /too large/]
] as const) {
  test(`a side that sends ${what} loses the connection`, async t => {
    const [near, far] = await lanePair(t)
    near.on('error', () => undefined)
    const lower = new StreamConnection(far, {
      side: 'lower',
      take: stream => {
        stream.sink = new Received(false)
      }
    })
    near.write(bytes)
    assert.match(await lower.closed, reason)
  })
}

test('what comes late for a stream that was reset is dropped', async t => {
  const [near, far] = await lanePair(t)
  near.on('error', () => undefined)
  const lower = new StreamConnection(far, { side: 'lower', take: stream => stream.reset(RESET.refused, 'no') })
  near.write(open(1))
  for (let sent = 0; sent < 2 * CONNECTION_WINDOW_BYTES; sent += 16_384) {
    near.write(data(1, 16_384))
    if (sent % (1024 * 1024) === 0) await new Promise(resolve => setImmediate(resolve))
  }
  near.write(open(3))
  await until(() => assert.ok(lower.bytes.received > 2 * CONNECTION_WINDOW_BYTES, 'bytes'))
  assert.equal(lower.isOpen, true)
})

test('each side asks a silent one for a sign of life, and ends the connection where none comes', async t => {
  const [near, far] = await lanePair(t)
  near.on('error', () => undefined)
  const upper = new StreamConnection(far, { side: 'upper', pingMs: 40 })
  let asked = 0
  near.on('data', (bytes: Buffer) => {
    asked += 1
    if (asked < 5 && bytes.includes(frameHead(FRAME.ping, 0, 0))) near.write(frameHead(FRAME.pong, 0, 0))
  })
  assert.match(await upper.closed, /no sign of life/)
  assert.ok(asked >= 5, `it was asked ${asked} times`)
})
