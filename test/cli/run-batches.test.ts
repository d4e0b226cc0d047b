import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseBatchSize, splitIntoBatches } from '../../src/cli/output/run-batches.js'

const ids = (count: number, length = 4) => Array.from({ length: count }, (_, n) => String(n).padStart(length, '0'))

test('every node is in exactly one batch, in order, and no batch is larger than asked', () => {
  const size = fc.oneof(
    fc.integer({ min: 1, max: 50 }).map(count => ({ count })),
    fc.integer({ min: 1, max: 100 }).map(percent => ({ percent }))
  )
  fc.assert(
    fc.property(fc.nat({ max: 300 }), size, (count, batch) => {
      const nodes = ids(count)
      const batches = splitIntoBatches(nodes, batch)
      assert.deepEqual(batches.flat(), nodes)
      const most = 'count' in batch ? batch.count : Math.ceil((count * batch.percent) / 100)
      assert.ok(batches.every(({ length }) => length > 0 && length <= most))
    })
  )
})

test('a list beyond what a relay takes is split', () => {
  const batches = splitIntoBatches(ids(40_000, 36), undefined)
  assert.equal(batches.flat().length, 40_000)
  assert.equal(batches.length, 2)
  assert.ok(batches.every(batch => batch.join(',').length <= 1_000_000))
})

test('only whole numbers and percentages are sizes', () => {
  assert.deepEqual(parseBatchSize('10%'), { percent: 10 })
  assert.deepEqual(parseBatchSize('7'), { count: 7 })
  for (const text of ['0', '0%', '101%', '-1', '1.5', '', '%', 'x'])
    assert.throws(() => parseBatchSize(text), /--batch/)
})
