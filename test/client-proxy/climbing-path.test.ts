import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { climbs } from '../../src/services/exchange/climbing-path.js'

const bytes = (text: string) => Buffer.from(text, 'utf8').toString('latin1')
const percent = (text: string) => text.replace(/[^A-Za-z0-9]/g, byte => `%${byte.charCodeAt(0).toString(16)}`)

/** What some program or other takes for a dot. */
const DOT = fc.constantFrom(
  '.',
  '%2e',
  '%2E',
  '%u002e',
  '%c0%ae',
  '%c0%2e',
  '%e0%80%ae',
  '\xf0\x80\x80\xae',
  '%ef%bc%8e',
  '%uff0e'
)
const SLASH = fc.constantFrom('/', '\\', '%2f', '%5C', '%c0%af', '%c1%9c', '%ef%bc%8f', bytes('\u2215'), '%u2216')
/** What is left out before anyone looks. */
const NOTHING = fc.constantFrom('', '', '', '%09', '%0a', '%20', ' ', '%ff', '%c2%a0', '%e2%80%8b')
const CUT_OFF = fc.constantFrom('', '', ';', ';a=b', '%3bjsessionid=1', '%00', '%00.txt', '%23x', '%3Fx')
const UP = fc.tuple(NOTHING, DOT, NOTHING, DOT, NOTHING, CUT_OFF).map(parts => parts.join(''))
const NAME = fc.stringMatching(/^[a-z0-9][A-Za-z0-9._~!$&'()*+,=:@ -]{0,12}$/).map(encodeURI)

test('whatever decodes to .. is found, in any spelling and in several layers', () => {
  const before = fc.array(
    fc.tuple(NAME, SLASH).map(parts => parts.join('')),
    { maxLength: 3 }
  )
  const after = fc.option(
    fc.tuple(SLASH, NAME).map(parts => parts.join('')),
    { nil: '' }
  )
  const layers = fc.integer({ min: 0, max: 4 })
  fc.assert(
    fc.property(before, UP, after, layers, (names, up, rest, encodedTimes) => {
      let path = `${names.join('')}${up}${rest}`
      for (let count = 0; count < encodedTimes; count += 1) path = percent(path)
      assert.equal(climbs(`/${path}`), true)
      assert.equal(climbs(`/${path}?x=1`), true)
    }),
    { numRuns: 1_000 }
  )
})

test('no path is refused whose names have something besides dots', () => {
  fc.assert(
    fc.property(fc.array(NAME, { maxLength: 6 }), fc.integer({ min: 0, max: 3 }), (names, encodedTimes) => {
      let path = names.join('/')
      for (let count = 0; count < encodedTimes; count += 1) path = percent(path)
      assert.equal(climbs(`/${path}?r=../..`), false)
    })
  )
  for (const path of [
    '/',
    '/a/./b',
    '/..x',
    '/x..;y',
    '/a..b/',
    '/%E2%82%AC..%20x',
    '/a%2500b',
    '/.well-known/x',
    bytes('/ü/…x')
  ]) {
    assert.equal(climbs(path), false, path)
  }
})

test('what was met in attacks; and encoding that has no end', () => {
  for (const path of [
    '/..;/x',
    '/..%00',
    '/..%09',
    '/%252e%252e/x',
    '/..\\x',
    '/%c0%ae%c0%ae/',
    '/%%32%65%%32%65/',
    '/.%00./',
    '/.../x'
  ]) {
    assert.equal(climbs(path), true, path)
  }
  assert.equal(climbs(`/%${'25'.repeat(5_000)}41`), true)
})
