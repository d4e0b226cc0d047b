import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RateLimit } from '../../src/membership/rate-limit.js'

test('an address that asks too often waits until its window is over; others do not', () => {
  let nowMs = 0
  const limit = new RateLimit(3, 1_000, () => nowMs)
  for (let count = 0; count < 3; count++) limit.count('192.0.2.1')
  assert.throws(() => limit.count('192.0.2.1'), /too many joins/)
  limit.count('192.0.2.2')
  nowMs = 999
  assert.throws(() => limit.count('192.0.2.1'), /too many joins/)
  nowMs = 1_000
  limit.count('192.0.2.1')
})
