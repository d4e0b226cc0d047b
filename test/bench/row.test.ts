import assert from 'node:assert/strict'
import { test } from 'node:test'
import { markdownTable, plainText } from '../../bench/report.js'
import { ROWS } from '../../bench/rows.js'
import { interleave, median } from '../../bench/support/rounds.js'
import { type Check, isWithinBound } from '../../bench/support/row.js'

const time: Check = { what: 'time', value: 3, reference: 2, ratio: 1.5, unit: 's', bound: { atMost: 1.2 } }

test('a check beyond its bound fails, whichever way the bound points', () => {
  assert.equal(isWithinBound(time), false)
  assert.equal(isWithinBound({ ...time, ratio: 1.2 }), true)
  assert.equal(isWithinBound({ what: 'rate', value: 90, unit: '/s', bound: { atLeast: 100 } }), false)
  assert.equal(isWithinBound({ what: 'memory', value: 48, unit: 'MiB', bound: { atMost: 48 } }), true)
})

test('a number that could not be measured is not within its bound', () => {
  assert.equal(isWithinBound({ ...time, ratio: Number.NaN }), false)
})

test('a failed row is marked in both forms of the report', () => {
  const result = {
    name: 'x',
    what: 'a thing',
    reference: 'another',
    bound: 'b',
    checks: [time],
    notes: [],
    passed: false
  }
  assert.match(plainText(result), /^FAIL {2}x\n.*1\.50 \(at most 1\.2\): FAIL$/)
  assert.match(markdownTable([result]), /\| a thing \| another \| b \| .* \| FAIL \|$/)
})

test('the median is the middle, and there is none of nothing', () => {
  assert.equal(median([9, 1, 5]), 5)
  assert.equal(median([4, 1, 2, 9]), 3)
  assert.throws(() => median([]), RangeError)
})

test('both sides are measured in turn, and the warm-up does not count', async () => {
  const order: string[] = []
  const medians = await interleave({
    count: 2,
    measure: async round => order.push(`a${round}`) && (round === 0 ? 1_000 : 10 * round),
    reference: async round => order.push(`b${round}`) && 10,
    say: () => undefined
  })
  assert.deepEqual(order, ['b0', 'a0', 'a1', 'b1', 'b2', 'a2'])
  assert.deepEqual(medians, { value: 15, reference: 10, ratio: 1.5 })
})

test('every row has a name of its own', () => {
  assert.equal(new Set(ROWS.map(row => row.name)).size, ROWS.length)
})
