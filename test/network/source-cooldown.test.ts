import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SourceCooldown } from '../../src/network/sources/source-cooldown.js'
import { SourceQueue } from '../../src/network/sources/source-queue.js'

test('a source rests for the longest time that it was told to, and then no more; each end is told once', t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  fc.assert(
    fc.property(fc.array(fc.record({ source: fc.constantFrom('a', 'b'), ms: fc.nat(50) })), rests => {
      const ended: string[] = []
      const rest = new SourceCooldown(source => ended.push(source))
      for (const { source, ms } of rests) rest.begin(source, ms)
      const longest = (source: string) => rests.filter(found => found.source === source).map(({ ms }) => ms)
      for (const source of ['a', 'b']) assert.equal(rest.has(source), longest(source).length > 0)
      t.mock.timers.tick(60)
      assert.deepEqual([rest.has('a'), rest.has('b')], [false, false])
      assert.deepEqual(
        ended.sort(),
        ['a', 'b'].filter(source => longest(source).length > 0)
      )
      rest.end('a')
      assert.equal(ended.length, new Set(ended).size)
    })
  )
})

test('rests that are added up follow each other, for no longer than the most', t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  t.mock.method(performance, 'now', () => nowMs)
  let nowMs = 1_000
  const rest = new SourceCooldown(() => undefined)
  const isRestingAfter = (ms: number) => {
    nowMs += ms
    t.mock.timers.tick(ms)
    return rest.has('a')
  }
  for (let count = 0; count < 3; count += 1) rest.extend('a', 10, 1_000)
  assert.deepEqual([isRestingAfter(29), isRestingAfter(1)], [true, false])
  for (let count = 0; count < 300; count += 1) rest.extend('a', 10, 1_000)
  assert.deepEqual([isRestingAfter(999), isRestingAfter(1)], [true, false])
  rest.extend('a', 10, 1_000)
  assert.deepEqual([isRestingAfter(9), isRestingAfter(1)], [true, false])
})

test('what waits of one source moves whole, oldest first and behind what waits there, and nothing of others', () => {
  const queue = new SourceQueue<number>()
  const other = new SourceQueue<number>()
  for (const [item, source] of ['a', 'b', 'a', 'c', 'a'].entries()) queue.add(source, item)
  queue.moveAll('a', other)
  assert.deepEqual([queue.size, ...queue], [2, 1, 3])
  assert.deepEqual([other.size, ...other], [3, 0, 2, 4])
  queue.moveAll('a', other)
  queue.add('a', 5)
  queue.moveAll('a', other)
  assert.deepEqual([queue.size, other.size, ...other], [2, 4, 0, 2, 4, 5])
})
