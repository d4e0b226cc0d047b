import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { keyHashMatches, parseKeyHash } from '../../src/keys/signatures/key-hash.js'
import { anyText } from '../support/any-text.js'

const { publicKey } = generateKeyPairSync('ed25519')
const spki = publicKey.export({ type: 'spki', format: 'der' })

test('both forms are read, with each algorithm', () => {
  for (const algorithm of ['sha1', 'sha256', 'sha512'] as const) {
    const hash = createHash(algorithm).update(spki).digest()
    const expected = { algorithm, hash }
    assert.deepEqual(parseKeyHash(`${algorithm}//${hash.toString('base64')}`), expected)
    assert.deepEqual(parseKeyHash(`${algorithm}//${hash.toString('base64').replace(/=+$/, '')}`), expected)
    assert.deepEqual(parseKeyHash(`${algorithm}:${hash.toString('hex')}`), expected)
    assert.deepEqual(parseKeyHash(`${algorithm}:${hash.toString('hex').toUpperCase()}`), expected)
  }
})

test('an empty or unreadable hash is no hash', () => {
  const hex = createHash('sha256').update(spki).digest('hex')
  const base64 = createHash('sha256').update(spki).digest('base64')
  const texts = [
    '',
    'sha256:',
    'sha256//',
    hex,
    `md5:${hex}`,
    `sha512:${hex}`,
    `sha256:${hex}00`,
    `sha256:${hex.slice(1)}`
  ]
  texts.push(`sha256:${hex.slice(2)}zz`, `sha256:${base64}`, `sha256//${hex}`, ` sha256:${hex}`, `sha256:${hex}\n`)
  texts.push(`sha256//${base64}${'A'.repeat(10_000)}`, `constructor:${hex}`)
  for (const text of texts) assert.equal(parseKeyHash(text), undefined, text)
})

test('a key matches its own hash alone', () => {
  const own = `sha256:${createHash('sha256').update(spki).digest('hex')}`
  const other = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' })
  assert.equal(keyHashMatches(spki, own), true)
  assert.equal(keyHashMatches(other, own), false)
  for (const nothing of ['', 'sha256:', 'sha256//', 'rubbish']) assert.equal(keyHashMatches(spki, nothing), false)
})

test('no text makes it throw', () => {
  const nearMiss = fc.stringMatching(/^sha(1|256|512)(\/\/|:)[A-Za-z0-9+/]{0,90}={0,3}$/)
  fc.assert(
    fc.property(fc.oneof(anyText(), nearMiss), text => {
      parseKeyHash(text)
      assert.equal(keyHashMatches(spki, text), false)
    })
  )
})
