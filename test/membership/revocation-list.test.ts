import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  formatRevocationList,
  MAX_LIST_LENGTH,
  MAX_REVOKED,
  MAX_REVOKED_TOKENS,
  parseList,
  type RevocationList,
  RevocationListError,
  readList
} from '../../src/membership/revocations/revocation-list.js'
import { makeAuthority, openAuthority } from '../../src/membership/root/certificate-authority.js'

const entry = fc.record(
  {
    id: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/),
    fingerprint: fc.stringMatching(/^[0-9a-f]{64}$/),
    untilMs: fc.maxSafeNat()
  },
  { noNullPrototype: true }
)
const key = fc.record(
  {
    id: fc.stringMatching(/^[\w-]{43}$/),
    algorithm: fc.constantFrom('EdDSA' as const, 'ES256' as const),
    publicKey: fc.stringMatching(/^[A-Za-z0-9+/]{1,200}$/)
  },
  { noNullPrototype: true }
)
const token = fc.record(
  { id: fc.stringMatching(/^[\w-]{16,64}$/), untilMs: fc.maxSafeNat() },
  { noNullPrototype: true }
)
const list: fc.Arbitrary<RevocationList> = fc.record(
  {
    number: fc.maxSafeNat(),
    entries: fc
      .uniqueArray(entry, { selector: ({ fingerprint }) => fingerprint, maxLength: 20 })
      .map(entries => entries.sort((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1))),
    keys: fc.uniqueArray(key, { selector: ({ id }) => id, maxLength: 4 }),
    tokens: fc.uniqueArray(token, { selector: ({ id }) => id, maxLength: 10 })
  },
  { noNullPrototype: true }
)
const authorityOf = async () => openAuthority(await makeAuthority('Test CA', Date.now()))

test('a list parses back to what was signed, and to nothing else where a character differs', async () => {
  const authority = await authorityOf()
  fc.assert(
    fc.property(list, fc.nat(), fc.string({ unit: 'grapheme', maxLength: 3 }), (given, at, other) => {
      const text = formatRevocationList(given, signed => authority.sign(signed))
      assert.deepEqual(readList(text, authority.certificate), given)
      const place = at % text.length
      const changed = text.slice(0, place) + other + text.slice(place + 1)
      try {
        assert.deepEqual(readList(changed, authority.certificate), given) // a signature can be written in several ways
      } catch (error) {
        if (!(error instanceof RevocationListError)) throw error
      }
    })
  )
})

test('whatever is read, nothing but the declared error is thrown', () => {
  const line = fc.oneof(
    fc.constantFrom(
      'treeline revocations 1',
      'number 1',
      'signature AAAA',
      `${'a'.repeat(64)} 1 rel-2`,
      `key ${'k'.repeat(43)} EdDSA AAAA`,
      `token ${'t'.repeat(22)} 1`,
      ''
    ),
    fc.string()
  )
  const text = fc.oneof(
    fc.string(),
    fc.array(line, { maxLength: 8 }).map(lines => lines.join('\n'))
  )
  fc.assert(
    fc.property(text, given => {
      try {
        parseList(given)
      } catch (error) {
        assert.ok(error instanceof RevocationListError, String(error))
      }
    })
  )
})

test('a list of another CA, one with too much in it, and one out of order are refused', async () => {
  const [authority, other] = await Promise.all([authorityOf(), authorityOf()])
  const sign = (text: Buffer) => authority.sign(text)
  const numbered = (count: number) =>
    Array.from({ length: count }, (_, at) => ({
      id: 'r'.repeat(128),
      fingerprint: at.toString(16).padStart(64, '0'),
      untilMs: Number.MAX_SAFE_INTEGER
    }))
  const full = formatRevocationList({ number: Number.MAX_SAFE_INTEGER, entries: numbered(MAX_REVOKED) }, sign)
  assert.ok(full.length < MAX_LIST_LENGTH, 'the bounds agree')
  assert.equal(readList(full, authority.certificate + other.certificate).entries.length, MAX_REVOKED)
  assert.throws(() => readList(full, other.certificate), /not signed by the CA of this tree/)
  assert.throws(() => readList(full, 'no certificate'), /not signed by the CA of this tree/)
  const token = (at: number) => ({ id: `token-that-is-revoked-${at}`, untilMs: 1 })
  for (const at of [1, 2]) {
    const twice = formatRevocationList({ number: 1, entries: [], tokens: [token(1), token(at)] }, sign)
    if (at === 1) assert.throws(() => parseList(twice), /there twice/)
    else assert.equal(parseList(twice).list.tokens.length, 2)
  }
  const tokens = Array.from({ length: MAX_REVOKED_TOKENS + 1 }, (_, at) => token(at))
  assert.throws(
    () => parseList(formatRevocationList({ number: 1, entries: [], tokens }, sign)),
    /more than 2000 tokens/
  )
  const more = formatRevocationList({ number: 1, entries: numbered(MAX_REVOKED + 1) }, sign)
  assert.throws(() => readList(more, authority.certificate), /more than 2000 entries/)
  assert.throws(() => readList(`${full}${' '.repeat(MAX_LIST_LENGTH)}`, authority.certificate), /longer than/)
  const reversed = formatRevocationList({ number: 1, entries: numbered(2).reverse() }, sign)
  assert.throws(() => readList(reversed, authority.certificate), /not in order/)
  const twice = formatRevocationList({ number: 1, entries: [...numbered(1), ...numbered(1)] }, sign)
  assert.throws(() => readList(twice, authority.certificate), /not in order/)
})
