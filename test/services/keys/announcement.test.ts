import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  BadAnnouncementError,
  formatComplete,
  formatGone,
  formatRefused,
  formatReplica,
  linesOf,
  parseKeyLine
} from '../../../src/services/keys/announcement.js'
import type { ReplicaFacts } from '../../../src/services/keys/replica.js'

const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/).map(text => `k${text}`)
const time = fc.nat(2_000_000_000_000)
const facts: fc.Arbitrary<ReplicaFacts> = fc.record(
  {
    key: name,
    id: name,
    path: fc.array(name, { maxLength: 15 }),
    remoteAddress: fc.constantFrom('127.0.0.1:80', '[::1]:443'),
    connectedAtMs: time,
    type: name,
    annotations: fc.dictionary(name, name, { maxKeys: 8 }),
    staleSinceMs: time
  },
  { requiredKeys: ['key', 'id', 'path', 'remoteAddress', 'connectedAtMs'] }
)

test('what is told is read again', () => {
  fc.assert(
    fc.property(facts, fc.nat(), (told, number) => {
      const [line = ''] = linesOf(Buffer.from(formatReplica(number, told)))
      const read = parseKeyLine(line)
      assert.deepEqual(JSON.parse(JSON.stringify(read)), {
        says: 'replica',
        number,
        facts: JSON.parse(JSON.stringify(told))
      })
    })
  )
  const text = formatGone(7) + formatComplete() + formatRefused(8, 'full\u0007')
  assert.deepEqual(linesOf(Buffer.from(text)).map(parseKeyLine), [
    { says: 'gone', number: 7 },
    { says: 'complete' },
    { says: 'refused', number: 8, reason: 'full' }
  ])
})

test('whatever else comes is one declared error', () => {
  const anything = fc.oneof(
    fc.string(),
    fc.json(),
    fc.dictionary(fc.constantFrom('n', 'gone', 'key', 'path'), fc.jsonValue()).map(value => JSON.stringify(value))
  )
  fc.assert(
    fc.property(anything, text => {
      try {
        parseKeyLine(text)
      } catch (error) {
        assert.ok(error instanceof BadAnnouncementError, String(error))
      }
    })
  )
})

const GOOD = { n: 1, key: 'git', id: 'one', path: ['relay-1'], address: 'x', connected: 1 }

for (const [what, members] of [
  ['a reserved key', { key: 'clients' }],
  ['a key with a slash', { key: 'a/b' }],
  ['no id', { id: undefined }],
  ['a path with a name that is none', { path: ['..'] }],
  ['a path that is too long', { path: Array.from({ length: 16 }, () => 'r') }],
  ['an address with a line feed', { address: 'x\ny' }],
  ['a time beyond all', { connected: 8.65e15 }],
  ['half a number', { n: 0.5 }],
  ['a negative number', { n: -1 }],
  ['a type with blanks', { type: 'a b' }],
  ['annotations that are no texts', { annotations: { a: 1 } }],
  ['an annotation with a control character', { annotations: { a: '\u001b[2J' } }],
  ['too many annotations', { annotations: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`a${i}`, ''])) }],
  ['annotations that are too long', { annotations: { a: 'x'.repeat(5_000) } }],
  ['too long a line', { more: 'x'.repeat(20_000) }]
] as const) {
  test(`a line with ${what} is refused`, () => {
    assert.equal(parseKeyLine(JSON.stringify(GOOD)).says, 'replica')
    assert.throws(() => parseKeyLine(JSON.stringify({ ...GOOD, ...members })), BadAnnouncementError)
  })
}
