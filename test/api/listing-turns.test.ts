import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listingTurn } from '../../src/api/answers/listing-turns.js'

test('a source that waits for many turns of lists does not delay another one', async () => {
  const order: string[] = []
  const take = async (source: string) => {
    await listingTurn(source)
    order.push(source)
  }
  const all = [...Array.from({ length: 50 }, () => take('many')), take('other'), take('another')]
  await Promise.all(all)
  assert.deepEqual([...new Set(order.slice(0, 3))], ['many', 'other', 'another'])
})
