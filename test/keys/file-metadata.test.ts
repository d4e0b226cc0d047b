import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type FileMetadata,
  formatMetadata,
  HASH_ALGORITHMS,
  HASH_BYTES,
  MAX_METADATA_BYTES,
  metadataFromQuery,
  parseMetadata
} from '../../src/keys/signatures/file-metadata.js'
import { RelayError } from '../../src/values/failures/relay-error.js'
import { anyText } from '../support/any-text.js'

const GOOD = [
  'header=rudder-signature-v1',
  'algorithm=sha256',
  'digest=00ff',
  `hash_value=${'Ab'.repeat(32)}`,
  'short_pubkey=AAEC',
  'hostname=node1.example.com',
  'keydate=2018-10-31 18:21:43.653257143 +0100',
  'keyid=B29D02BB'
]

const KNOWN = new Set(['header', 'algorithm', 'digest', 'hash_value', 'short_pubkey', 'pubkey', 'signed_at', 'expires'])

function refuses(lines: readonly string[], pattern: RegExp): void {
  assert.throws(
    () => parseMetadata(lines.join('\n')),
    (error: unknown) => error instanceof RelayError && error.code === 'INVALID_INPUT' && pattern.test(error.message)
  )
}

function onlyRelayError(action: () => unknown): void {
  try {
    action()
  } catch (error) {
    assert.ok(error instanceof RelayError, String(error))
    assert.equal(error.code, 'INVALID_INPUT')
  }
}

const anyMetadata: fc.Arbitrary<FileMetadata> = fc
  .record({
    algorithm: fc.constantFrom(...HASH_ALGORITHMS),
    digest: fc.uint8Array({ minLength: 1, maxLength: 512 }),
    hash: fc.uint8Array({ minLength: 64, maxLength: 64 }),
    key: fc.uint8Array({ minLength: 1, maxLength: 600 }),
    keyName: fc.constantFrom('short_pubkey', 'pubkey'),
    signedAt: fc.option(fc.maxSafeNat(), { nil: undefined }),
    extra: fc.dictionary(
      fc.stringMatching(/^[a-z_ .]{1,20}$/).filter(key => !KNOWN.has(key)),
      fc.string({ unit: 'grapheme' }).filter(value => !/\p{Cc}/u.test(value))
    ),
    seed: fc.infiniteStream(fc.nat())
  })
  .map(parts => {
    const hashValue = Buffer.from(parts.hash).subarray(0, HASH_BYTES[parts.algorithm]).toString('hex')
    const entries: [string, string][] = [
      ['header', 'rudder-signature-v1'],
      ['algorithm', parts.algorithm],
      ['digest', Buffer.from(parts.digest).toString('hex')],
      ['hash_value', hashValue],
      [parts.keyName, Buffer.from(parts.key).toString('base64')],
      ...Object.entries(parts.extra)
    ]
    if (parts.signedAt !== undefined) entries.push(['signed_at', String(parts.signedAt)])
    const shuffled = entries.map(entry => ({ entry, at: parts.seed.next().value ?? 0 })).sort((a, b) => a.at - b.at)
    return {
      fields: new Map(shuffled.map(({ entry }) => entry)),
      algorithm: parts.algorithm,
      digest: Buffer.from(parts.digest),
      hashValue,
      publicKey: Buffer.from(parts.key).toString('base64'),
      signedAtMs: parts.signedAt
    }
  })

test('what is printed parses back, in any order of the keys', () => {
  fc.assert(
    fc.property(anyMetadata, metadata => {
      const text = formatMetadata(metadata)
      assert.deepEqual(parseMetadata(text), metadata)
      assert.deepEqual(parseMetadata(text.replaceAll('\n', '\r\n')), metadata)
      assert.equal(formatMetadata(parseMetadata(text)), text)
    })
  )
})

test('a query says the same as a block', () => {
  fc.assert(
    fc.property(anyMetadata, metadata => {
      const query = { ...Object.fromEntries(metadata.fields), ttl: '1 day', expires: '1', hash: '00', hash_type: 'md5' }
      assert.deepEqual(new Map(metadataFromQuery(query).fields), metadata.fields)
    })
  )
})

test('no input makes the parser throw anything but INVALID_INPUT', () => {
  const line = fc.oneof(fc.constantFrom(...GOOD), anyText(), fc.constantFrom('', '\r', '=', 'a=\0'))
  fc.assert(
    fc.property(fc.array(line), lines => {
      onlyRelayError(() => parseMetadata(lines.join('\n')))
    })
  )
  fc.assert(
    fc.property(fc.dictionary(anyText(), anyText()), query => {
      onlyRelayError(() => metadataFromQuery(query))
    })
  )
})

test('reads what an existing agent writes', () => {
  const metadata = parseMetadata(`${GOOD.join('\n')}\n`)
  assert.equal(metadata.algorithm, 'sha256')
  assert.deepEqual(metadata.digest, Buffer.from([0, 255]))
  assert.equal(metadata.hashValue, 'ab'.repeat(32))
  assert.equal(metadata.signedAtMs, undefined)
  assert.equal(metadata.fields.get('keydate'), '2018-10-31 18:21:43.653257143 +0100')
})

test('a value may contain equals signs, and expires is read but never printed', () => {
  const metadata = parseMetadata([...GOOD, 'note=a=b=', 'expires=1600000000'].join('\n'))
  assert.equal(metadata.fields.get('note'), 'a=b=')
  assert.equal(metadata.fields.get('expires'), '1600000000')
  assert.ok(!formatMetadata(metadata).includes('expires'))
})

test('says which line or key is wrong', () => {
  refuses([...GOOD, 'no equals sign'], /line 9 is not key=value: "no equals sign"/)
  refuses([...GOOD.slice(0, 2), '', ...GOOD.slice(2)], /line 3/)
  refuses([...GOOD, 'keyid=again'], /line 9: "keyid" is there twice/)
  refuses([...GOOD, '=x'], /line 9: a key has/)
  refuses([...GOOD, 'x=a\rb'], /control character/)
  refuses([...GOOD, 'pubkey=AAEC'], /short_pubkey and pubkey/)
  refuses([...GOOD, 'signed_at=-1'], /signed_at should be/)
  refuses([...GOOD, 'signed_at=9999999999999999'], /signed_at should be/)
  refuses(['header=rudder-signature-v2', ...GOOD.slice(1)], /header should be rudder-signature-v1/)
  for (const [index, key] of ['header', 'algorithm', 'digest', 'hash_value', 'short_pubkey'].entries()) {
    refuses(GOOD.toSpliced(index, 1), new RegExp(`${key} is missing`))
  }
  refuses(GOOD.with(1, 'algorithm=md5'), /algorithm should be sha1, sha256, sha512, not "md5"/)
  refuses(GOOD.with(2, 'digest=abc'), /digest should be/)
  refuses(GOOD.with(2, 'digest='), /digest should be/)
  refuses(GOOD.with(3, `hash_value=${'ab'.repeat(64)}`), /hash_value should be 32 bytes/)
  refuses(GOOD.with(4, 'short_pubkey=-----BEGIN'), /short_pubkey should be base64/)
})

test('a line feed in a query parameter cannot forge a second line', () => {
  const query = Object.fromEntries(
    GOOD.map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)])
  )
  onlyRelayError(() => assert.fail(String(metadataFromQuery({ ...query, note: 'x\nexpires=9' }))))
})

test('a block over 64 KiB is refused', () => {
  refuses([...GOOD, `x=${'y'.repeat(MAX_METADATA_BYTES)}`], /more than 65536 bytes/)
})

test('a block has 256 lines at most', () => {
  const some = (count: number) => Array.from({ length: count }, (_, index) => `x${index}=`)
  assert.equal(parseMetadata([...GOOD, ...some(256 - GOOD.length)].join('\n')).fields.size, 256)
  refuses([...GOOD, ...some(257 - GOOD.length)], /it has more than 256 lines/)
})
