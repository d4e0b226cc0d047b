import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { TurnLimit } from '../../src/process/pacing/turn-limit.js'

/** A limit with a clock that only the work of the test moves. */
function limitWithClock() {
  let nowMs = 0
  const limit = new TurnLimit(4, () => nowMs)
  const work = (ms: number) => {
    nowMs += ms
  }
  return { limit, work }
}

test('the time in which a loop waited for something to do does not count', async () => {
  const { limit, work } = limitWithClock()
  assert.equal(limit.isOver, false)
  await nextTurn()
  work(100) // of others, or none
  assert.equal(limit.isOver, false)
  work(4)
  assert.equal(limit.isOver, true)
  await limit.next()
  assert.equal(limit.isOver, false)
})

test('the loops share the time of a turn', () => {
  const { limit, work } = limitWithClock()
  assert.equal(limit.isOver, false)
  work(3)
  assert.equal(limit.isOver, false)
  work(1)
  assert.equal(limit.isOver, true)
})

test('thousands of loops with little to do go on within few turns, in the order in which they came', async () => {
  const { limit } = limitWithClock()
  const resumed: number[] = []
  for (let index = 0; index < 2_000; index += 1) void limit.next().then(() => resumed.push(index))
  let turns = 0
  for (; resumed.length < 2_000; turns += 1) await nextTurn()
  assert.ok(turns <= 10, `${turns} turns`)
  assert.deepEqual(
    resumed,
    Array.from({ length: 2_000 }, (_, index) => index)
  )
})

test('loops with much to do go on one in a turn, and none of them is left waiting', async () => {
  const { limit, work } = limitWithClock()
  let ofTurn = 0
  let mostOfTurn = 0
  const loop = async () => {
    for (let piece = 0; piece < 5; piece += 1) {
      ofTurn += 1
      mostOfTurn = Math.max(mostOfTurn, ofTurn)
      work(5)
      if (limit.isOver) await limit.next()
    }
  }
  assert.equal(limit.isOver, false)
  let isDone = false
  const all = Promise.all(Array.from({ length: 8 }, loop)).then(() => {
    isDone = true
  })
  ofTurn = mostOfTurn = 0 // each began with a piece at once
  for (; !isDone; ofTurn = 0) await nextTurn()
  await all
  assert.ok(mostOfTurn <= 2, `${mostOfTurn} in one turn`)
})
