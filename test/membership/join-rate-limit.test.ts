import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JoinRateLimit } from '../../src/membership/root/joining/join-rate-limit.js'

test('what happened too often is refused until its window is over, with the time to wait; other names are not', () => {
  let nowMs = 0
  const limit = new JoinRateLimit(3, 1_000, () => nowMs)
  for (let count = 0; count < 3; count++) {
    limit.check('one')
    limit.count('one')
  }
  assert.throws(() => limit.check('one'), /refused 3 times already; wait 1 s/)
  limit.check('another')
  nowMs = 999
  assert.throws(() => limit.check('one'), { code: 'BUSY' })
  nowMs = 1_000
  limit.check('one')
  limit.count('one')
  limit.check('one')
})
