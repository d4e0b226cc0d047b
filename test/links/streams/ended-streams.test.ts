import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { FramedStream } from '../../../src/links/streams/framed-stream.js'
import { splice } from '../../../src/links/streams/splice.js'
import { StreamConnection } from '../../../src/links/streams/stream-connection.js'
import { CONNECTION_WINDOW_BYTES, MAX_HELD_BYTES, RESET } from '../../../src/links/streams/stream-protocol.js'
import { connectionPair, lanePair, listenTo, type Received, until } from '../../support/parts/stream-pairs.js'

interface Taken {
  readonly stream: FramedStream
  readonly received: Received
}

/** Has 160 streams, and then as many again, send 200 kB each to a side that passes nothing on. Both sides end all of them. */
async function openEnded(t: TestContext, heldUpLimitMs?: number) {
  const [near, far] = await lanePair(t)
  const taken: Taken[] = []
  const lower = new StreamConnection(far, {
    side: 'lower',
    ...(heldUpLimitMs === undefined ? {} : { heldUpLimitMs }),
    take: stream => {
      taken.push({ stream, received: listenTo(stream, false) })
      stream.end()
    }
  })
  const upper = new StreamConnection(near, { side: 'upper' })
  for (let batch = 0; batch < 2; batch += 1) {
    for (let opened = 0; opened < 160; opened += 1) openOne(upper)
    await until(() => assert.ok(ended(taken) >= 160, String(ended(taken))))
  }
  return { taken, upper, lower }
}

/** Sends 200 kB, and the end. */
function openOne(upper: StreamConnection): void {
  const stream = upper.open(Buffer.from('slow'))
  listenTo(stream)
  for (let sent = 0; sent < 200_000; sent += 10_000) stream.write(Buffer.alloc(10_000, 1))
  stream.end()
}

const ended = (taken: readonly Taken[]) => taken.filter(({ received }) => received.hasEnded).length
const held = (taken: readonly Taken[]) => taken.reduce((sum, { received }) => sum + received.bytes, 0)
const isFull = (taken: readonly Taken[]) => held(taken) > MAX_HELD_BYTES + CONNECTION_WINDOW_BYTES / 2

for (const [what, giveBack] of [
  ['passed on', ({ stream, received }: Taken) => stream.consumed(received.bytes)],
  ['given up', ({ stream }: Taken) => stream.reset(RESET.cancelled, 'enough')]
] as const) {
  test(`bytes that are ${what} after the end of both directions make room for others`, async t => {
    const { taken, upper, lower } = await openEnded(t)
    await until(() => assert.ok(isFull(taken), String(held(taken))))
    assert.ok(ended(taken) < 320)
    for (const one of taken.slice(0, 160)) giveBack(one)
    await until(() => assert.equal(ended(taken), 320))
    for (const one of taken) giveBack(one)
    await until(() => assert.deepEqual([upper.count, lower.count], [0, 0]))
  })
}

test('streams that ended long ago are given up as well, where others need the room that they hold', async t => {
  const { taken } = await openEnded(t, 50)
  await until(() => assert.equal(taken.filter(({ received: { hasEnded, reset } }) => hasEnded || reset).length, 320))
  assert.ok(taken.some(({ received: { hasEnded, reset } }) => hasEnded && /too slowly/.test(reset?.message ?? '')))
})

test('the end of the connection does not touch streams that have ended', async t => {
  const pair = await connectionPair(t, false)
  pair.take(stream => {
    pair.taken.push({ payload: '', stream, received: listenTo(stream, false) })
    stream.end()
  })
  const stream = pair.upper.open(Buffer.from('asked'))
  listenTo(stream)
  stream.write(Buffer.from('kept'))
  stream.end()
  await until(() => assert.equal(pair.taken[0]?.received.hasEnded, true))
  pair.upper.close('over')
  await pair.lower.closed
  assert.deepEqual([pair.taken[0]?.received.text, pair.taken[0]?.received.reset], ['kept', undefined])
})

test('long messages that are the last ones through a relay do not use up the window', async t => {
  const [near, far] = await Promise.all([connectionPair(t), connectionPair(t)])
  near.take(stream => splice(stream, far.upper.open(Buffer.from('joined'))))
  far.take(stream => {
    listenTo(stream)
    stream.message(Buffer.alloc(70_000, 0x20))
    stream.end()
  })
  const answers = Array.from({ length: 600 }, () => listenTo(near.upper.open(Buffer.from('asked'))))
  for (const { stream } of answers) stream?.end()
  await until(() => assert.equal(answers.filter(({ hasEnded }) => hasEnded).length, 600))
})
