import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { MAX_FRAMES_OF_STRANGER, MessageFrames, watchFrames } from '../../src/links/wire/message-frames.js'

/** A masked frame of a client, whose mask changes nothing. */
function frameOf(payload: number, opcode = 2, isLast = true): Buffer {
  const first = (isLast ? 0x80 : 0) | opcode
  const mask = Buffer.alloc(4)
  if (payload < 126) return Buffer.concat([Buffer.from([first, 0x80 | payload]), mask, Buffer.alloc(payload)])
  const longer = payload < 65_536 ? Buffer.alloc(2) : Buffer.alloc(8)
  if (payload < 65_536) longer.writeUInt16BE(payload)
  else longer.writeBigUInt64BE(BigInt(payload))
  const length = payload < 65_536 ? 126 : 127
  return Buffer.concat([Buffer.from([first, 0x80 | length]), longer, mask, Buffer.alloc(payload)])
}

function repeated(count: number, bytes: Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => bytes))
}

test('frames are counted wherever the bytes that bring them are cut, and not one more is let in', () => {
  const payloads = fc.array(fc.oneof(fc.nat(200), fc.constantFrom(126, 127, 65_535, 65_536)), {
    minLength: MAX_FRAMES_OF_STRANGER,
    maxLength: MAX_FRAMES_OF_STRANGER
  })
  const cuts = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(payloads, cuts, (list, sizes) => {
      const frames = new MessageFrames()
      const bytes = Buffer.concat(list.map(payload => frameOf(payload)))
      for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
        const size = sizes[turn % sizes.length] ?? 1
        assert.ok(frames.read(bytes.subarray(at, at + size)))
        at += size
      }
      assert.equal(frames.read(frameOf(0)), false)
    }),
    { numRuns: 20 }
  )
})

test('once the other side is known, whole messages are counted elsewhere, and their pieces here', () => {
  const frames = new MessageFrames()
  frames.admit()
  assert.ok(frames.read(repeated(10_000, frameOf(1))))
  assert.ok(frames.read(repeated(10_000, frameOf(64, 2, false))))
  assert.ok(frames.read(repeated(1_000, frameOf(0, 0, false))))
  assert.equal(frames.read(repeated(200, frameOf(0, 0, false))), false)
})

test('a connection with too many frames is cut before ws has them', () => {
  const stream = new PassThrough()
  assert.ok(watchFrames(stream, repeated(MAX_FRAMES_OF_STRANGER - 1, frameOf(0))))
  stream.push(frameOf(1))
  assert.equal(stream.destroyed, false)
  assert.equal(stream.readableLength, frameOf(1).length)
  stream.push(repeated(5_000, frameOf(1)))
  assert.equal(stream.destroyed, true)
  assert.equal(watchFrames(new PassThrough(), repeated(MAX_FRAMES_OF_STRANGER + 1, frameOf(0))), undefined)
})
