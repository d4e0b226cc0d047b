import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { END_LIMITS, type EndLimits } from '../../../src/services/entry/end-limits.js'
import { eventually } from '../../support/eventually.js'
import { OK_HEAD, startEntryOverStreams } from '../../support/parts/entries-over-streams.js'
import { listenTo, until } from '../../support/parts/stream-pairs.js'

const GET = 'GET /v1/relay/git/x HTTP/1.1\r\nHost: entry\r\n\r\n'
const LAST = 'GET /v1/relay/git/x HTTP/1.1\r\nHost: entry\r\nConnection: close\r\n\r\n'
const PART = 200_000
const REQUESTS = 200
const BYTES = 16 * 1024 * 1024

/** Reads a piece now and then. */
function readSlowly(socket: Socket): void {
  socket.on('data', () => {
    socket.pause()
    setTimeout(() => socket.resume(), 5)
  })
}

for (const [what, request] of [
  ['the last one of a connection', LAST],
  ['one of several', GET]
] as const) {
  test(`a caller that reads slowly gets the whole of a long answer, ${what}`, async t => {
    const end = { unreadMs: 10_000, unreadInAllMs: 60_000, silentMs: 100, sendingMs: 100 }
    const entry = await startEntryOverStreams(t, { limits: { end, idleMs: 100 } })
    const caller = entry.call().send(request)
    const { stream } = await entry.asked()
    readSlowly(caller.socket)
    stream.message(OK_HEAD(BYTES))
    stream.write(Buffer.alloc(BYTES, 0x2e))
    stream.end()
    await eventually('the end', () => caller.hasEnded || caller.isClosed)
    assert.equal(caller.text.length - caller.text.indexOf('\r\n\r\n') - 4, BYTES)
    await until(() => assert.deepEqual([entry.pair.upper.count, entry.pair.lower.count], [0, 0]))
  })
}

/** A caller that reads nothing, and asks until an answer is complete that waits for it. */
async function askUnread(t: TestContext, end: EndLimits) {
  const entry = await startEntryOverStreams(t, { limits: { end } })
  const { upper, lower } = entry.pair
  let asked = 0
  entry.pair.take(stream => {
    asked += 1
    listenTo(stream)
    stream.message(OK_HEAD(PART))
    stream.write(Buffer.alloc(PART, 0x2e))
    stream.end()
  })
  const caller = entry.call()
  caller.socket.pause()
  caller.send(GET.repeat(REQUESTS))
  await eventually('an answer that waits', () => asked > 0 && upper.count === 1 && lower.count === 0)
  return { caller, upper, asked: () => asked }
}

test('pipelined requests wait until the answer before them was read', async t => {
  const { caller, asked } = await askUnread(t, END_LIMITS)
  assert.ok(asked() < REQUESTS, `${asked()} requests were begun`)
  caller.socket.resume()
  await eventually('all answers', () => caller.text.length > REQUESTS * PART)
  assert.equal(asked(), REQUESTS)
})

test('a caller that does not read the rest of its answer is given up after a while, and leaves nothing behind', async t => {
  const { upper } = await askUnread(t, { ...END_LIMITS, unreadMs: 100 })
  await until(() => assert.equal(upper.count, 0))
})

test('a caller that leaves before it read the rest of its answer leaves nothing behind', async t => {
  const { caller, upper } = await askUnread(t, END_LIMITS)
  caller.socket.destroy()
  await until(() => assert.equal(upper.count, 0))
})

test('what an unread answer holds of the link is given back while its connection ends', async t => {
  const { caller, upper } = await askUnread(t, END_LIMITS)
  caller.socket.end() // no further request: the answer is the last one
  caller.socket.resume()
  await caller.closed()
  await until(() => assert.equal(upper.count, 0))
})

test('a caller in HTTP/2 that leaves before it read the rest of its answer leaves nothing behind', async t => {
  const entry = await startEntryOverStreams(t)
  const { upper, lower } = entry.pair
  const session = connect(`http://127.0.0.1:${entry.port}`)
  t.after(() => session.destroy())
  const request = session.request({ ':path': '/v1/relay/git/x' }).end()
  const { stream } = await entry.asked()
  stream.message(OK_HEAD(PART))
  stream.write(Buffer.alloc(PART, 0x2e))
  stream.end()
  await eventually('an answer that waits', () => upper.count === 1 && lower.count === 0)
  request.close()
  await until(() => assert.equal(upper.count, 0))
})
