import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHopHealth } from '../../src/shared-files/forwarding/hop-backoff.js'
import { backoffMs } from '../../src/values/time/backoff.js'

function makeHealth() {
  const clock = { nowMs: 1_000_000 }
  return {
    clock,
    health: createHopHealth(
      () => clock.nowMs,
      () => 1
    )
  }
}

test('the wait doubles from a second to a minute with each try that was due', () => {
  const { clock, health } = makeHealth()
  const waits = Array.from({ length: 8 }, () => {
    const waitMs = health.failed('relay-a')
    clock.nowMs += waitMs
    return waitMs / 1_000
  })
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60])
  assert.equal(health.waitMs('relay-b'), 0)
  const shortest = backoffMs(1, { firstMs: 1_000, maxMs: 60_000 }, () => 0)
  assert.equal(shortest, 500)
})

test('tries that fail while a wait is under way do not make it longer', () => {
  const { clock, health } = makeHealth()
  const dueAtMs = clock.nowMs + health.failed('relay-a')
  for (let tries = 0; tries < 10; tries += 1) {
    clock.nowMs += 50
    assert.equal(clock.nowMs + health.failed('relay-a'), dueAtMs)
    assert.ok(health.hasJustFailed('relay-a'))
  }
  clock.nowMs += 1_000
  assert.ok(!health.hasJustFailed('relay-a'))
  clock.nowMs = dueAtMs
  assert.equal(health.failed('relay-a'), 2_000)
})

test('a success ends the waits, and a sign that it is back makes it worth a try now', () => {
  const { health } = makeHealth()
  health.failed('relay-a')
  assert.ok(health.succeeded('relay-a'))
  assert.ok(!health.succeeded('relay-a'))
  assert.equal(health.waitMs('relay-a'), 0)
  assert.equal(health.isDoubtful('relay-a'), false)
  health.failed('relay-a')
  health.revive('relay-a')
  assert.equal(health.waitMs('relay-a'), 0)
  assert.ok(health.isDoubtful('relay-a'))
  assert.ok(!health.hasJustFailed('relay-a'))
  assert.equal(health.failed('relay-a'), 1_000)
})
