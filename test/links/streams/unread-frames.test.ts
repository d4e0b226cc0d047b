import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { StreamConnection } from '../../../src/links/streams/stream-connection.js'
import { FRAME, frameHead, MAX_WHOLE_BYTES, RESET } from '../../../src/links/streams/stream-protocol.js'
import { lanePair, listenTo } from '../../support/parts/stream-pairs.js'

test('no stream is opened while too much waits for the other side, and the others go on when it reads', async t => {
  const [near, far] = await lanePair(t)
  const upper = new StreamConnection(near, { side: 'upper' })
  const open = async () => {
    for (let opened = 0; opened < 10_000; opened += 1) {
      listenTo(upper.open(Buffer.alloc(MAX_WHOLE_BYTES, 0x20)))
      if (opened % 16 === 0) await nextTurn()
    }
  }
  await assert.rejects(open(), { name: 'StreamResetError', code: RESET.refused, message: /reads too slowly/ })
  assert.ok(upper.count < 1_000, `${upper.count} streams`)
  assert.equal(upper.isOpen, true)
  const { count } = upper
  const lower = new StreamConnection(far, { side: 'lower', take: stream => stream.reset(RESET.cancelled, 'enough') })
  while (upper.count > 0) await nextTurn()
  assert.ok(lower.bytes.received > count * MAX_WHOLE_BYTES)
  listenTo(upper.open(Buffer.from('again')))
})

test('a side that asks and asks, and reads none of the answers, loses the connection', async t => {
  const [near, far] = await lanePair(t)
  far.on('error', () => undefined)
  const upper = new StreamConnection(near, {
    side: 'upper',
    take: stream => stream.reset(RESET.refused, 'x'.repeat(300))
  })
  const ask = async () => {
    for (let id = 2; upper.isOpen; ) {
      const frames: Buffer[] = []
      for (let count = 0; count < 1_000; count += 1, id += 2) {
        frames.push(frameHead(FRAME.open, id, 1), Buffer.from('x'))
      }
      far.write(Buffer.concat(frames))
      await nextTurn()
    }
  }
  await ask()
  assert.match(await upper.closed, /reads nothing/)
})
