import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseByteSize } from '../../src/values/byte-size.js'
import { RelayError } from '../../src/values/failures/relay-error.js'
import { anyText } from '../support/any-text.js'

test('sizes are bytes, or multiples of 1000 or 1024', () => {
  const good: readonly [string, number][] = [
    ['0', 0],
    ['52428800', 52_428_800],
    ['10B', 10],
    ['50MiB', 52_428_800],
    ['50 mib', 52_428_800],
    ['2GB', 2_000_000_000],
    ['2k', 2_000],
    ['1Ti', 1024 ** 4]
  ]
  for (const [text, bytes] of good) assert.equal(parseByteSize(text), bytes, text)
})

test('anything else is refused', () => {
  for (const text of ['', '-1', '1.5M', '5iB', 'MiB', '1 M B', '1e3', '9999999999999T', '5X', ' 5', '5\n']) {
    assert.throws(() => parseByteSize(text), { name: 'RelayError', code: 'INVALID_INPUT', message: /^invalid size: "/ })
  }
})

test('no text makes it throw anything but its own error, or give what is not a count', () => {
  fc.assert(
    fc.property(fc.oneof(anyText(), fc.stringMatching(/^\d{1,16} ?[kMGT]?i?B?$/)), text => {
      try {
        assert.ok(Number.isSafeInteger(parseByteSize(text)))
      } catch (error) {
        if (!(error instanceof RelayError)) throw error
      }
    })
  )
})
