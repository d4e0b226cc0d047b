import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isDue } from '../../src/jobs/purge-schedule.js'

test('a job is due once its period is over, and not before', () => {
  assert.equal(isDue(1_000, 1_999, 1_000), false)
  assert.equal(isDue(1_000, 2_000, 1_000), true)
  assert.equal(isDue(1_000, 90_000, 1_000), true)
})

test('a clock that was set back makes it due at once', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1 }), fc.integer({ min: 1 }), (now, ahead, everyMs) => {
      return isDue(now + ahead, now, everyMs)
    })
  )
})
