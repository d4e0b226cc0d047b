import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SourceQueue } from '../../src/values/network/source-queue.js'

test('sources take turns, and within one the oldest is first', () => {
  const queue = new SourceQueue<string>()
  for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) queue.add(item.charAt(0), item)
  queue.delete('a', 'a2')
  queue.delete('b', 'unknown')
  assert.equal(queue.size, 5)
  const taken: string[] = []
  for (let item = queue.next(); item !== undefined; item = queue.next()) taken.push(item)
  assert.deepEqual(taken, ['a1', 'b1', 'c1', 'a3', 'b2'])
  assert.equal(queue.size, 0)
})

test('the oldest of the source that has the most', () => {
  const queue = new SourceQueue<string>()
  assert.equal(queue.oldestOfLargest(), undefined)
  for (const item of ['a1', 'b1', 'b2', 'c1']) queue.add(item.charAt(0), item)
  assert.equal(queue.oldestOfLargest(), 'b1')
  assert.equal(queue.countOf('b'), 2)
  assert.equal(queue.countOf('nobody'), 0)
})
