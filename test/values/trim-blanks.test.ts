import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { trimBlanks } from '../../src/values/text/trim-blanks.js'

test('spaces and tabs around a text go, and nothing else', () => {
  const texts = fc
    .array(fc.constantFrom(' ', '\t', 'a', '\n', '\u00a0'), { maxLength: 12 })
    .map(parts => parts.join(''))
  fc.assert(fc.property(texts, text => trimBlanks(text) === text.replace(/^[ \t]+/, '').replace(/[ \t]+$/, '')))
  const million = ' '.repeat(1_000_000)
  assert.equal(trimBlanks(`${million}a${million}b${million}`), `a${million}b`)
})
