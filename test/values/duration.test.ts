import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RelayError } from '../../src/values/failures/relay-error.js'
import { formatDuration, MAX_DURATION_MS, parseDuration } from '../../src/values/time/duration.js'
import { anyText } from '../support/any-text.js'

const GOOD: readonly [string, number][] = [
  ['0', 0],
  ['30', 30_000],
  ['500ms', 500],
  ['2s', 2_000],
  ['10min', 600_000],
  ['5m', 300_000],
  ['1h 7s', 3_607_000],
  ['1h7s', 3_607_000],
  ['2 days', 172_800_000],
  ['7days', 604_800_000],
  ['1week', 604_800_000],
  [' 1 hour  2 minutes ', 3_720_000],
  ['100 years', MAX_DURATION_MS],
  ['7s 1h', 3_607_000],
  ['1h 1h', 7_200_000],
  ['1month', 2_630_016_000],
  ['1M', 2_630_016_000],
  ['2yrs', 63_115_200_000],
  ['1wk', 604_800_000],
  ['250millis', 250],
  ['1500usec', 2],
  ['1µs 1us 1ns', 1],
  ['4.2s', 4_200],
  ['1.1s', 1_100],
  ['1.5h', 5_400_000]
]

const BAD = [
  '',
  ' ',
  '-1d',
  '1e3',
  '0x10',
  'd',
  '5x',
  '5 5',
  '1h,7s',
  '1H',
  '1h\n7s',
  '101y',
  '９s',
  '99999999999999999999',
  `${'1'.repeat(200)}s`,
  `${' '.repeat(5_000)}1s`,
  '1d\u0000',
  'infinity',
  '1.h',
  '.5h',
  '1mo'
]

test('a duration is read in every form that configuration files have', () => {
  for (const [text, expected] of GOOD) assert.equal(parseDuration(text), expected, text)
})

test('anything else is refused with a message that shows it', () => {
  for (const text of BAD) {
    assert.throws(() => parseDuration(text), {
      name: 'RelayError',
      code: 'INVALID_INPUT',
      message: /^invalid duration: "/
    })
  }
})

test('what is printed parses back', () => {
  assert.equal(formatDuration(93_784_005), '1day 2h 3min 4s 5ms')
  assert.equal(formatDuration(0), '0s')
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_DURATION_MS }), value => parseDuration(formatDuration(value)) === value)
  )
})

test('no number prints as something that cannot be read', () => {
  for (const value of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, MAX_DURATION_MS + 1]) {
    assert.throws(() => formatDuration(value), RelayError)
  }
})

test('no text makes the parser throw anything but its own error, or give what is not a bounded whole number', () => {
  const nearMiss = fc.stringMatching(/^([0-9]{0,17} {0,2}(d|days?|h|min|m|s|ms|y|x|-|\.)? ?){0,4}$/)
  fc.assert(
    fc.property(fc.oneof(anyText(), nearMiss), text => {
      try {
        const value = parseDuration(text)
        assert.ok(Number.isInteger(value) && value >= 0 && value <= MAX_DURATION_MS)
      } catch (error) {
        if (!(error instanceof RelayError)) throw error
      }
    })
  )
})
