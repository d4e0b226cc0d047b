import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectionsWithin } from '../../src/relay/listening/file-limit.js'

test('connections leave a quarter of the files that a process may open to its work', () => {
  for (const [wanted, limit, expected] of [
    [20_000, 65_536, 20_000],
    [20_000, 1_024, 768],
    [500, 1_024, 500],
    [20_000, 128, 64],
    [20_000, 64, 16],
    [5, 10, 5]
  ] as const) {
    assert.equal(connectionsWithin(wanted, limit), expected)
  }
  assert.ok(connectionsWithin(10) === 10, 'by the limit of this process')
})
