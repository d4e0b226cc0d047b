import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RelayError } from '../../src/values/failures/relay-error.js'
import { MAX_CONDITION_LENGTH, parseConditions } from '../../src/values/runs/conditions.js'
import { anyText } from '../support/any-text.js'

test('conditions are separated by commas, and an empty text is none', () => {
  assert.deepEqual(parseConditions(''), [])
  assert.deepEqual(parseConditions('class1'), ['class1'])
  assert.deepEqual(parseConditions('class1,2nd_class,C'), ['class1', '2nd_class', 'C'])
})

test('a bad condition is named in the line that existing callers know', () => {
  const message = 'invalid condition: class~1, should match ^[a-zA-Z0-9][a-zA-Z0-9_]*$'
  assert.throws(() => parseConditions('good,class~1'), { code: 'INVALID_INPUT', message })
})

test('empty items, spaces, line ends and leading underscores are refused', () => {
  for (const text of [',', 'a,', ',a', 'a,,b', 'a, b', ' a', '_a', 'a\n', 'a-b', 'é', 'a\u0000', '-D', '--']) {
    assert.throws(() => parseConditions(text), RelayError, JSON.stringify(text))
  }
})

test('a condition has 1,024 characters at most', () => {
  const longest = 'a'.repeat(MAX_CONDITION_LENGTH)
  assert.deepEqual(parseConditions(longest), [longest])
  assert.throws(() => parseConditions(`${longest}a`), { code: 'INVALID_INPUT', message: /at most 1024 characters/ })
})

test('whatever is sent, the message is one printable line of bounded length', () => {
  fc.assert(
    fc.property(anyText({ maxLength: 2_000 }), text => {
      try {
        for (const condition of parseConditions(text)) assert.match(condition, /^[a-zA-Z0-9]\w*$/)
      } catch (error) {
        if (!(error instanceof RelayError)) throw error
        assert.match(error.message, /^[\x20-\x7e…]{1,200}$/)
      }
    })
  )
})
