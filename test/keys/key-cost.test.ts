import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { tooCostly, verificationMs } from '../../src/keys/certificates/key-cost.js'

/** A public key with a modulus of so many bits; nobody has its private one. */
function rsaKey(bits: number, exponent: Buffer): KeyObject {
  const modulus = Buffer.alloc(bits / 8, 0xa5)
  modulus[modulus.length - 1] = 0xa7
  const jwk = { kty: 'RSA', n: modulus.toString('base64url'), e: exponent.toString('base64url') }
  return createPublicKey({ key: jwk, format: 'jwk' })
}

const USUAL = Buffer.from([1, 0, 1])

test('the keys that agents and relays have are taken', () => {
  for (const bits of [1_024, 2_048, 4_096, 16_384]) assert.equal(tooCostly(rsaKey(bits, USUAL)), undefined)
  assert.equal(tooCostly(rsaKey(4_096, Buffer.from([3]))), undefined)
  for (const namedCurve of ['prime256v1', 'secp384r1', 'secp521r1']) {
    assert.equal(tooCostly(generateKeyPairSync('ec', { namedCurve }).publicKey), undefined, namedCurve)
  }
  assert.equal(tooCostly(generateKeyPairSync('ed25519').publicKey), undefined)
  assert.equal(tooCostly(generateKeyPairSync('ed448').publicKey), undefined)
})

test('those that hold up the event loop are not, and the reason names them', () => {
  const long = Buffer.alloc(384, 0x55)
  long[0] = 1
  assert.match(tooCostly(rsaKey(3_072, long)) ?? '', /RSA key of 3072 bits with an exponent of 3065 bits/)
  assert.match(tooCostly(rsaKey(16_384, Buffer.alloc(8, 0xff))) ?? '', /exponent of 64 bits/)
  const curve = generateKeyPairSync('ec', { namedCurve: 'sect571r1' }).publicKey
  assert.match(tooCostly(curve) ?? '', /curve sect571r1/)
  assert.match(tooCostly(generateKeyPairSync('x25519').publicKey) ?? '', /of the kind x25519/)
  assert.ok(verificationMs(rsaKey(3_072, long)) > 50 * verificationMs(rsaKey(3_072, USUAL)))
})
