import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bulkPauseMs, noteOrder } from '../../src/process/pacing/bulk-pacing.js'

const MIB = 1024 * 1024

test('bulk rests while an order is under way, and for 20 ms after its last sign', () => {
  assert.equal(bulkPauseMs(MIB, 0), 0)
  noteOrder(1_000)
  assert.equal(bulkPauseMs(MIB, 1_000), 32)
  assert.equal(bulkPauseMs(MIB, 1_019), 32)
  assert.equal(bulkPauseMs(MIB, 1_020), 0)
  noteOrder(1_030)
  assert.equal(bulkPauseMs(32 * 1024 * 1024, 1_040), 50)
})

test('bulk never stands still for long, and never moves more than its share', () => {
  noteOrder(1_000)
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 * MIB }), bytes => {
      const pauseMs = bulkPauseMs(bytes, 1_010)
      assert.ok(pauseMs > 0 && pauseMs <= 50)
      assert.ok(pauseMs === 50 || bytes / pauseMs <= (32 * MIB) / 1_000 + 1)
    })
  )
})
