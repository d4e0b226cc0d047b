import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHopBackoff } from '../../src/shared-files/forwarding/hop-backoff.js'
import { backoffMs } from '../../src/values/time/backoff.js'

function makeBackoff() {
  const clock = { nowMs: 1_000_000 }
  return {
    clock,
    backoff: createHopBackoff(
      () => clock.nowMs,
      () => 1
    )
  }
}

test('the wait doubles from a second to a minute with each try that was due', () => {
  const { clock, backoff } = makeBackoff()
  const waits = Array.from({ length: 8 }, () => {
    const waitMs = backoff.failed('relay-a')
    clock.nowMs += waitMs
    return waitMs / 1_000
  })
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60])
  assert.equal(backoff.waitMs('relay-b'), 0)
  const shortest = backoffMs(1, { firstMs: 1_000, maxMs: 60_000 }, () => 0)
  assert.equal(shortest, 500)
})

test('tries that fail while a wait is under way do not make it longer', () => {
  const { clock, backoff } = makeBackoff()
  const dueAtMs = clock.nowMs + backoff.failed('relay-a')
  for (let tries = 0; tries < 10; tries += 1) {
    clock.nowMs += 50
    assert.equal(clock.nowMs + backoff.failed('relay-a'), dueAtMs)
    assert.ok(backoff.hasJustFailed('relay-a'))
  }
  clock.nowMs += 1_000
  assert.ok(!backoff.hasJustFailed('relay-a'))
  clock.nowMs = dueAtMs
  assert.equal(backoff.failed('relay-a'), 2_000)
})

test('a success ends the waits, and a sign that it is back makes it worth a try now', () => {
  const { backoff } = makeBackoff()
  backoff.failed('relay-a')
  assert.ok(backoff.succeeded('relay-a'))
  assert.ok(!backoff.succeeded('relay-a'))
  assert.equal(backoff.waitMs('relay-a'), 0)
  assert.equal(backoff.isDoubtful('relay-a'), false)
  backoff.failed('relay-a')
  backoff.revive('relay-a')
  assert.equal(backoff.waitMs('relay-a'), 0)
  assert.ok(backoff.isDoubtful('relay-a'))
  assert.ok(!backoff.hasJustFailed('relay-a'))
  assert.equal(backoff.failed('relay-a'), 1_000)
})
