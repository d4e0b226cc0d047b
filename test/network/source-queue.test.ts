import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SourceQueue } from '../../src/network/sources/source-queue.js'

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

test('the largest source stays known while all of them grow, shrink and move', () => {
  const queue = new SourceQueue<string>()
  const other = new SourceQueue<string>()
  const grow = (source: string, count: number) => {
    for (let index = 0; index < count; index += 1) queue.add(source, `${source}${index}`)
  }
  grow('a', 3)
  grow('b', 5)
  grow('c', 4)
  queue.moveAll('b', other)
  assert.equal(queue.oldestOfLargest(), 'c0')
  assert.equal(other.oldestOfLargest(), 'b0')
  queue.delete('c', 'c0')
  queue.delete('c', 'c1')
  assert.equal(queue.oldestOfLargest(), 'a0')
  queue.add('b', 'b9')
  queue.moveAll('b', other)
  assert.equal(other.countOf('b'), 6)
  other.moveAll('b', queue)
  assert.equal(queue.oldestOfLargest(), 'b0')
  while (queue.countOf('b') > 1) queue.next()
  assert.equal(queue.oldestOfLargest(), 'b9')
  while (queue.next() !== undefined);
  assert.equal(queue.oldestOfLargest(), undefined)
})
