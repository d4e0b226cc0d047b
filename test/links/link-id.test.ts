import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextLinkId } from '../../src/links/upper/link-id.js'

test('ids of links are in the order in which the links were opened, and none is ever the same', () => {
  const ids = Array.from({ length: 2_000 }, nextLinkId)
  assert.deepEqual([...ids].sort(), ids)
  assert.equal(new Set(ids).size, ids.length)
})
