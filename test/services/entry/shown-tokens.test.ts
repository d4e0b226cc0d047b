import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readShownTokens, withoutTokens } from '../../../src/services/entry/shown-tokens.js'

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

test('tokens are found wherever they may stand', () => {
  for (const [name, value, token, place] of [
    ['Authorization', 'Bearer abc', 'abc', 'bearer'],
    ['AUTHORIZATION', 'bearer   abc', 'abc', 'bearer'],
    ['authorization', basic('user:abc'), 'abc', 'basic'],
    ['authorization', basic(':a:b'), 'a:b', 'basic'],
    ['X-Relay-Token', 'abc', 'abc', 'relay-token'],
    ['x-opsmx-token', 'abc', 'abc', 'relay-token']
  ] as const) {
    assert.deepEqual(readShownTokens(['Host', 'x', name, value]), [{ token, at: 2, place }], `${name}: ${value}`)
  }
})

test('anything else is not taken for a token', () => {
  for (const [name, value] of [
    ['Authorization', ''],
    ['Authorization', 'Bearer'],
    ['Authorization', 'Bearer a b'],
    ['Authorization', 'Digest username="x"'],
    ['Authorization', 'abc'],
    ['Authorization', basic('abc')],
    ['Authorization', 'Basic %%%'],
    ['X-Relay-Token', ''],
    ['Proxy-Authorization', 'Bearer abc'],
    ['X-Relay-Tokes', 'abc']
  ] as const) {
    assert.deepEqual(readShownTokens([name, value]), [], `${name}: ${value}`)
  }
})

test('fields without some tokens are the others, in their order', () => {
  const name = fc.constantFrom('Authorization', 'X-Relay-Token', 'X-Opsmx-Token', 'Accept', 'Cookie')
  const field = fc.tuple(name, fc.constantFrom('Bearer abc', basic('u:abc'), 'abc', 'def'))
  fc.assert(
    fc.property(fc.array(field), list => {
      const fields = list.flat()
      const ours = readShownTokens(fields).filter(({ token }) => token === 'abc')
      const rest = withoutTokens(fields, ours)
      assert.deepEqual(
        readShownTokens(rest),
        readShownTokens(rest).filter(({ token }) => token !== 'abc')
      )
      const kept = list.filter((_field, index) => !ours.some(({ at }) => at === 2 * index))
      assert.deepEqual(rest, kept.flat())
    })
  )
})
