import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseRunEvent } from '../../src/values/runs/run-event.js'
import { MAX_JSON_PARTS, parseJson } from '../../src/values/text/json.js'

const LONG = 2 * 1024 * 1024

test('every JSON of a few thousand parts is what JSON.parse makes of it, however long', () => {
  const padding = 'x'.repeat(20_000)
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom('', padding, `${padding}\\"[{,:`), (value, more) => {
      const text = JSON.stringify([value, more, value])
      assert.deepEqual(parseJson(text), JSON.parse(text))
    })
  )
})

test('a long text whose characters are in strings is parsed, whatever they are', () => {
  for (const data of ['x', '"', '\\', '\\"', '"[', ',', '{}:', '\0', '\u{1f600}', '\\\\"[']) {
    const event = { seq: 1, event: 'output', run: 'R', data: data.repeat(200_000) }
    assert.deepEqual(parseRunEvent(JSON.stringify(event)), event)
    assert.deepEqual(parseJson(JSON.stringify([event.data])), [event.data])
  }
})

test('a list of as many certificates as a line can hold is parsed', () => {
  const certificates = Array.from({ length: 50_000 }, () => 'A'.repeat(64))
  assert.deepEqual(parseJson(JSON.stringify({ certificates })), { certificates })
})

test('a long text of many parts is none, and no event', () => {
  const count = LONG / 8
  const texts = {
    nested: '['.repeat(LONG / 2) + ']'.repeat(LONG / 2),
    open: '['.repeat(LONG),
    'nested objects': `${'{"a":'.repeat(count)}1${'}'.repeat(count)}`,
    names: `{${Array.from({ length: count }, (_, index) => `"${index}":1`).join(',')}}`,
    objects: `[${'{},'.repeat(count)}{}]`,
    numbers: `[${'1,'.repeat(count)}1]`,
    'behind a string': `["${'\\\\'.repeat(9_000)}",${'[],'.repeat(count)}[]]`
  }
  for (const [what, text] of Object.entries(texts)) {
    assert.equal(parseJson(text), undefined, what)
    assert.equal(parseRunEvent(`{"seq":0,"event":"alive","run":"","x":${text}}`), undefined, what)
  }
})

test('the bound is that of parts, for texts of over 16 KiB alone', () => {
  const list = (items: number, blanks: number) => `[${'1,'.repeat(items - 1)}1]${' '.repeat(blanks)}`
  assert.equal((parseJson(list(8_000, 0)) as number[]).length, 8_000)
  const most = MAX_JSON_PARTS + 20_480 / 64
  assert.equal((parseJson(list(most, 20_480 - 2 * most - 1)) as number[]).length, most)
  assert.equal(parseJson(list(most + 1, 20_480 - 2 * most - 3)), undefined)
})
