import assert from 'node:assert/strict'
import { test } from 'node:test'
import { acceptedAt, createAcceptanceClock } from '../../src/shared-files/acceptance-clock.js'

test('the later of two files counts as accepted later, also when the clock was set back in between', () => {
  let nowMs = 10_000
  const next = createAcceptanceClock(() => nowMs, 0)
  assert.equal(next(), 10_000)
  assert.equal(next(), 10_001)
  nowMs = 5_000
  assert.equal(next(), 10_002)
  nowMs = 20_000
  assert.equal(next(), 20_000)
  assert.equal(createAcceptanceClock(() => nowMs, 30_000)(), 30_001, 'and after a restart')
})

test('a time in the past that another relay told counts; one that is ahead of this clock is only later than all that is here', () => {
  assert.equal(acceptedAt(900, 1_000, [950]), 900)
  assert.equal(acceptedAt(5_000, 1_000, []), 1_000)
  assert.equal(acceptedAt(5_000, 1_000, [2_000, 400]), 2_001)
  assert.equal(acceptedAt(undefined, 1_000, [3_000]), 3_001)
})
