import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RelayError } from '../../src/values/failures/relay-error.js'
import { formatTtl, parseTtl } from '../../src/values/time/ttl.js'
import { anyText } from '../support/any-text.js'

const LAST_DATE_MS = 8.64e15

const GOOD: readonly [string, number][] = [
  ['1', 1],
  ['3600', 3_600],
  ['1day 2hours 3minute 4seconds', 93_784],
  ['5h 3s', 18_003],
  ['1d2h3m4s', 93_784],
  ['356 days', 356 * 86_400],
  ['356+days', 356 * 86_400],
  ['1day+2hours', 93_600],
  ['1 day 4 second', 86_404],
  ['10min', 600],
  ['0d 1s', 1],
  ['0', 0],
  ['0s', 0],
  ['0d0h', 0]
]

const BAD = [
  '',
  '+',
  '-1d',
  '1.5h',
  '5 5',
  '4s 1d',
  '1d 1d',
  '1w',
  '1y',
  '500ms',
  'never',
  '1d;',
  '1D',
  '1d\t2h',
  '1d\n',
  '99999999999999',
  '100000000000000d',
  '9'.repeat(400)
]

test('a ttl is read in every form of the contract', () => {
  for (const [text, seconds] of GOOD) assert.equal(parseTtl(text), seconds, text)
})

test('anything else is refused with a message that shows it', () => {
  for (const text of BAD) {
    assert.throws(() => parseTtl(text), { name: 'RelayError', code: 'INVALID_INPUT', message: /^invalid ttl: "/ }, text)
  }
})

test('a ttl leads to a date that exists, or is refused', () => {
  const nowMs = LAST_DATE_MS - 10_000
  assert.equal(parseTtl('10s', nowMs), 10)
  assert.throws(() => parseTtl('11s', nowMs), RelayError)
})

test('what is printed parses back', () => {
  assert.equal(formatTtl(93_784), '1day 2hours 3minutes 4seconds')
  fc.assert(
    fc.property(fc.integer({ min: 0, max: LAST_DATE_MS / 1000 }), value => parseTtl(formatTtl(value), 0) === value)
  )
})

test('no number prints as something that cannot be read', () => {
  for (const value of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, LAST_DATE_MS]) {
    assert.throws(() => formatTtl(value), RelayError)
  }
})

test('no text makes the parser throw anything but its own error, or give what is not a date', () => {
  const nearMiss = fc.stringMatching(/^([0-9]{0,17}[ +]{0,2}(d|days?|h|min|m|s|ms|y|x|-|\.)?[ +]?){0,4}$/)
  fc.assert(
    fc.property(fc.oneof(anyText(), nearMiss), text => {
      try {
        const seconds = parseTtl(text, 0)
        assert.ok(Number.isInteger(seconds) && seconds >= 0)
        assert.ok(!Number.isNaN(new Date(seconds * 1000).getTime()))
      } catch (error) {
        if (!(error instanceof RelayError)) throw error
      }
    })
  )
})
