import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PieceBudget } from '../../src/network/sources/piece-budget.js'

test('short pieces are a debt, which long ones and time pay', () => {
  let nowMs = 1_000
  const budget = new PieceBudget({ ahead: 10, forgivenPerSecond: 100 }, () => nowMs)
  assert.equal(budget.take(1_000_000), true)
  for (let index = 0; index < 10; index += 1) assert.equal(budget.take(0), true, 'what was paid before is no credit')
  assert.equal(budget.restMs, 0)
  assert.equal(budget.take(0), false)
  assert.equal(budget.restMs, 10)
  nowMs += 10
  assert.equal(budget.restMs, 0)
  assert.equal(budget.take(32), false)
  assert.equal(budget.restMs, 5)
  assert.equal(budget.take(64 * 5), true)
  assert.equal(budget.restMs, 0)
})
