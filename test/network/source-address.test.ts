import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sourceOf } from '../../src/network/sources/source-address.js'

test('an IPv4 address is a source of its own, in whatever form it comes', () => {
  assert.equal(sourceOf('192.0.2.7'), '192.0.2.7')
  assert.equal(sourceOf('::ffff:192.0.2.7'), '192.0.2.7')
  assert.equal(sourceOf('::ffff:c000:207'), '192.0.2.7')
})

test('all addresses of a /64 network are one source, those of the next one another', () => {
  const first = sourceOf('2001:db8:0:1::1')
  assert.equal(sourceOf('2001:0db8:0000:0001:ffff:ffff:ffff:ffff'), first)
  assert.equal(first, '2001:db8:0:1::/64')
  assert.notEqual(sourceOf('2001:db8:0:2::1'), first)
})

test('what is no address is its own source', () => {
  assert.equal(sourceOf(''), '')
})
