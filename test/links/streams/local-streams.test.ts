import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { localStreams } from '../../../src/links/streams/local-streams.js'
import { FRAMED_STREAM_WINDOW_BYTES, RESET } from '../../../src/links/streams/stream-protocol.js'
import { listenTo, until } from '../../support/parts/stream-pairs.js'

const PIECE = Buffer.alloc(16 * 1024)

test('messages, data and ends come in order, and not in the turn in which they were sent', async () => {
  const [near, far] = localStreams()
  near.message(Buffer.from('head'))
  near.write(Buffer.from('a'))
  near.write(Buffer.from('b'))
  near.end()
  near.write(Buffer.from('behind the end'))
  const received = listenTo(far)
  const back = listenTo(near)
  assert.equal(received.text, '')
  await until(() => assert.ok(received.hasEnded, 'no end'))
  assert.equal(received.text, '<head>ab')
  far.write(Buffer.from('the other direction goes on'))
  far.end()
  await until(() => assert.ok(back.hasEnded, 'no end'))
  assert.equal(back.text, 'the other direction goes on')
})

test('a slow reader holds the writer back at the window, and lets it go on as it reads', async () => {
  const [near, far] = localStreams()
  const received = listenTo(far, false)
  const writer = listenTo(near)
  let written = 0
  while (near.write(PIECE)) written += PIECE.length
  written += PIECE.length
  assert.equal(written, FRAMED_STREAM_WINDOW_BYTES)
  await until(() => assert.equal(received.bytes, written))
  assert.equal(writer.drains, 0)
  far.consumed(PIECE.length)
  await turn()
  await turn()
  assert.equal(writer.drains, 0, 'a little room is no reason to go on')
  far.consumed(written - PIECE.length)
  await until(() => assert.equal(writer.drains, 1))
  assert.equal(near.write(PIECE), true)
})

test('a reset ends both directions, drops what is on its way, and is told to the other end once', async () => {
  const [near, far] = localStreams()
  const received = listenTo(far)
  const mine = listenTo(near)
  let closed = 0
  near.onClosed(() => {
    closed += 1
  })
  near.write(Buffer.from('lost'))
  near.reset(RESET.cancelled, 'enough')
  near.reset(RESET.broken, 'again')
  far.write(Buffer.from('lost as well'))
  await until(() => assert.equal(received.reset?.message, 'enough'))
  assert.equal(received.reset?.code, RESET.cancelled)
  await turn()
  assert.equal(received.text + mine.text, '')
  assert.equal(mine.reset, undefined)
  assert.equal(closed, 1)
})

test('a stream whose directions have ended is closed, and a reset comes too late', async () => {
  const [near, far] = localStreams()
  const received = listenTo(far)
  listenTo(near)
  let closed = 0
  for (const end of [near, far]) {
    end.onClosed(() => {
      closed += 1
    })
  }
  near.end()
  far.end()
  await until(() => assert.equal(closed, 2))
  near.reset(RESET.broken, 'too late')
  await turn()
  assert.equal(received.reset, undefined)
})
