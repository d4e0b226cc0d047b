import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FrameWatch } from '../../src/links/wire/frame-watch.js'
import { IdleBudget, MAX_IDLE_FRAMES } from '../../src/links/wire/idle-budget.js'
import { MAX_STREAMS } from '../../src/links/wire/protocol.js'
import { FRAME, frame, many, uint32 } from '../support/hostile/hostile-link.js'

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

function watch(side: 'client' | 'server', sent = () => 0) {
  const budget: IdleBudget = new IdleBudget(() => sent() + frames.dataBytes)
  const frames: FrameWatch = new FrameWatch(side, budget)
  return { budget, frames }
}

test('frames are told apart wherever the messages that bring them are cut', () => {
  const one = fc.record({ type: fc.nat(12), flags: fc.constantFrom(0, 1, 4), length: fc.nat(60) })
  const cuts = fc.array(fc.integer({ min: 9, max: 70 }), { minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(fc.array(one, { maxLength: 40 }), cuts, (list, sizes) => {
      const bytes = Buffer.concat([
        PREFACE,
        ...list.map(({ type, flags, length }) => frame(type, flags, 1, Buffer.alloc(length, 0xff)))
      ])
      const { frames } = watch('server')
      for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
        const size = sizes[turn % sizes.length] ?? 9
        assert.ok(frames.read(bytes.subarray(at, at + size)))
        at += size
      }
      const data = list.filter(({ type }) => type === FRAME.data).reduce((sum, { length }) => sum + length, 0)
      assert.equal(frames.dataBytes, data)
    })
  )
})

test('as many frames that carry nothing as allowed are taken, and not one more', () => {
  for (const idle of [
    frame(FRAME.windowUpdate, 0, 0, uint32(1)),
    frame(FRAME.data, 0, 1),
    frame(FRAME.data, 8, 1, Buffer.from([2, 0, 0])),
    frame(FRAME.headers, 4, 1, Buffer.from([0x88])),
    frame(FRAME.continuation, 0, 1),
    frame(FRAME.reset, 0, 1, uint32(8)),
    frame(0x99, 0, 0)
  ]) {
    const { frames } = watch('client')
    assert.ok(frames.read(many(MAX_IDLE_FRAMES, idle)))
    assert.equal(frames.read(idle), false)
  }
})

test('a full link is no flood: all requests at once, their answers, and the windows of what is moved', () => {
  const { budget, frames } = watch('client')
  const answer = (stream: number) =>
    Buffer.concat([
      frame(FRAME.headers, 4, stream, Buffer.from([0x88])),
      frame(FRAME.data, 0, stream, Buffer.alloc(20)),
      frame(FRAME.data, 1, stream),
      frame(FRAME.windowUpdate, 0, stream, uint32(20)),
      frame(FRAME.reset, 0, stream, uint32(0))
    ])
  for (let round = 0; round < 20; round += 1) {
    for (let count = 0; count < MAX_STREAMS; count += 1) budget.requestBegun()
    for (let count = 0; count < MAX_STREAMS; count += 1) assert.ok(frames.read(answer(2 * count + 1)))
    for (let count = 0; count < MAX_STREAMS; count += 1) budget.requestEnded()
  }
  let sent = 0
  const uploading = watch('client', () => sent)
  for (let count = 0; count < 100_000; count += 1) {
    sent += 16 * 1024
    assert.ok(uploading.frames.read(frame(FRAME.windowUpdate, 0, 0, uint32(16 * 1024))))
  }
  const serving = watch('server')
  assert.ok(serving.frames.read(PREFACE))
  for (let round = 0; round < 20; round += 1) {
    for (let count = 0; count < MAX_STREAMS; count += 1) {
      const stream = 2 * (round * MAX_STREAMS + count) + 1
      const asked = [frame(FRAME.headers, 4, stream, Buffer.from([0x82])), frame(FRAME.data, 1, stream)]
      assert.ok(serving.frames.read(Buffer.concat(asked)))
    }
    for (let count = 0; count < MAX_STREAMS; count += 1) serving.budget.requestEnded()
  }
})

test('what requests did not need is not left for later', () => {
  const { budget, frames } = watch('client')
  for (let count = 0; count < 100_000; count += 1) {
    budget.requestBegun()
    budget.requestEnded()
  }
  const ping = frame(FRAME.ping, 0, 0, Buffer.alloc(8))
  assert.equal(frames.read(many(4 * MAX_IDLE_FRAMES, ping)), false)
})
