import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_WHOLE_BYTES } from '../../../src/links/streams/stream-protocol.js'
import { connectionPair, listenTo, until } from '../../support/parts/stream-pairs.js'

test('pieces of one byte that have to wait go together, in their order', async t => {
  const pair = await connectionPair(t)
  const came: Buffer[] = []
  let bytes = 0
  pair.take(stream => {
    const received = listenTo(stream)
    received.onData = piece => {
      came.push(piece)
      bytes += piece.length
      stream.consumed(piece.length)
    }
  })
  const stream = pair.upper.open(Buffer.from('asked'))
  listenTo(stream)
  for (let sent = 0; sent < 300_000; sent += 1) stream.write(Buffer.of(sent % 251))
  await until(() => assert.equal(bytes, 300_000))
  assert.ok(came.length < 50_000, `${came.length} pieces`)
  assert.ok(Buffer.concat(came).every((byte, index) => byte === index % 251))
})

test('a message that is too large ends its stream alone', async t => {
  const { upper, lower, taken } = await connectionPair(t)
  const [large, other] = [listenTo(upper.open(Buffer.from('large'))), listenTo(upper.open(Buffer.from('other')))]
  large.stream?.message(Buffer.alloc(MAX_WHOLE_BYTES + 1))
  assert.match(large.reset?.message ?? '', /more than 81920 bytes/)
  other.stream?.message(Buffer.alloc(MAX_WHOLE_BYTES, 0x20))
  await until(() => assert.equal(taken[1]?.received.text.length, MAX_WHOLE_BYTES + 2))
  assert.match(taken[0]?.received.reset?.message ?? '', /more than 81920 bytes/)
  assert.equal(lower.isOpen, true)
})
