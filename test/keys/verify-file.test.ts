import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify
} from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import nacl from 'tweetnacl'
import { type FileMetadata, HASH_ALGORITHMS, type HashAlgorithm } from '../../src/keys/signatures/file-metadata.js'
import { type SigningKey, signFile, signingKeySpki, signRsa } from '../../src/keys/signatures/sign-file.js'
import {
  ed25519Message,
  ed25519Spki,
  readPublicKey,
  verifyFileSignature
} from '../../src/keys/signatures/verify-file.js'
import { RelayError } from '../../src/values/failures/relay-error.js'
import type { FileKey } from '../../src/values/ids.js'

const FILE_KEY: FileKey = { target: 'node-b', source: 'node-a', fileId: 'report.txt' }
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const RSA_KEY: SigningKey = { kind: 'rsa', key: rsa.privateKey }
const ED_KEY: SigningKey = { kind: 'ed25519', seed: new Uint8Array(32).fill(7) }

function signed(key: SigningKey, content: Uint8Array, algorithm: HashAlgorithm, signedAtMs = 1_700_000_000_000) {
  const hash = createHash(algorithm).update(content).digest()
  return { hash, metadata: signFile(key, FILE_KEY, { signedAtMs, algorithm, hashValue: hash.toString('hex') }) }
}

function check(metadata: FileMetadata, hash: Buffer, fileKey = FILE_KEY): void {
  verifyFileSignature(metadata, readPublicKey(metadata), fileKey, hash)
}

function isBadSignature(error: unknown): boolean {
  return error instanceof RelayError && error.code === 'BAD_SIGNATURE'
}

function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes)
  const at = (bit >> 3) % copy.length
  copy[at] = (copy[at] ?? 0) ^ (1 << (bit & 7))
  return copy
}

for (const key of [RSA_KEY, ED_KEY]) {
  test(`${key.kind}: a signed file verifies, and no flipped bit of digest or hash does`, () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom(...HASH_ALGORITHMS),
        fc.nat({ max: 100_000 }),
        (content, algorithm, bit) => {
          const { hash, metadata } = signed(key, content, algorithm)
          check(metadata, hash)
          assert.throws(() => check({ ...metadata, digest: flipped(metadata.digest, bit) }, hash), isBadSignature)
          const otherHash = flipped(hash, bit)
          assert.throws(() => check(metadata, otherHash), isBadSignature)
          assert.throws(() => check({ ...metadata, hashValue: otherHash.toString('hex') }, otherHash), isBadSignature)
        }
      ),
      { numRuns: 30 }
    )
  })
}

test('an Ed25519 signature binds names and time', () => {
  const { hash, metadata } = signed(ED_KEY, Buffer.from('x'), 'sha512')
  for (const member of ['target', 'source', 'fileId'] as const) {
    assert.throws(() => check(metadata, hash, { ...FILE_KEY, [member]: 'other' }), isBadSignature)
  }
  assert.throws(() => check({ ...metadata, signedAtMs: 1 }, hash), isBadSignature)
  assert.throws(() => check({ ...metadata, signedAtMs: undefined }, hash), /signed_at is missing/)
})

test('tweetnacl and node:crypto agree on keys and signatures', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ maxLength: 200 }),
      fc.nat({ max: 511 }),
      (seed, message, bit) => {
        const pair = nacl.sign.keyPair.fromSeed(seed)
        const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
        const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
        const { key } = readPublicKey({ publicKey: ed25519Spki(pair.publicKey).toString('base64') })
        const signature = Buffer.from(nacl.sign.detached(message, pair.secretKey))
        assert.deepEqual(signature, sign(null, message, privateKey))
        const wrong = flipped(signature, bit)
        assert.equal(verify(null, message, key, signature), true)
        assert.equal(verify(null, message, key, wrong), nacl.sign.detached.verify(message, wrong, pair.publicKey))
      }
    ),
    { numRuns: 30 }
  )
})

test('the signed lines are those of the contract', () => {
  const message = ed25519Message(FILE_KEY, { signedAtMs: 12, algorithm: 'sha256', hashValue: 'ab' })
  assert.equal(message.toString(), 'treeline-file-v1\nnode-b\nnode-a\nreport.txt\n12\nsha256\nab\n')
})

test('what openssl dgst -sign prints verifies, and is what signRsa gives', t => {
  const folder = mkdtempSync(join(tmpdir(), 'treeline-signature-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const keyFile = join(folder, 'key.pem')
  const dataFile = join(folder, 'data')
  writeFileSync(keyFile, rsa.privateKey.export({ format: 'pem', type: 'pkcs1' }))
  writeFileSync(dataFile, 'hello\n')
  for (const algorithm of HASH_ALGORITHMS) {
    const { hash, metadata } = signed(RSA_KEY, Buffer.from('hello\n'), algorithm)
    const printed = execFileSync('openssl', ['dgst', `-${algorithm}`, '-hex', '-sign', keyFile, dataFile], {
      encoding: 'utf8'
    })
    const digest = Buffer.from(printed.trim().replace(/^.*= /, ''), 'hex')
    check({ ...metadata, digest }, hash)
    assert.deepEqual(digest, signRsa(rsa.privateKey, algorithm, hash))
  }
})

test('a raw RSA signature without DigestInfo, of another algorithm or another length is refused', () => {
  const { hash, metadata } = signed(RSA_KEY, Buffer.from('x'), 'sha256')
  const sha512 = signRsa(rsa.privateKey, 'sha512', createHash('sha512').update('x').digest())
  assert.throws(() => check({ ...metadata, digest: sha512 }, hash), isBadSignature)
  assert.throws(() => check({ ...metadata, digest: metadata.digest.subarray(1) }, hash), isBadSignature)
  assert.throws(
    () => check({ ...metadata, digest: Buffer.concat([Buffer.alloc(1), metadata.digest]) }, hash),
    isBadSignature
  )
  assert.throws(() => check({ ...metadata, digest: Buffer.alloc(256, 0xff) }, hash), isBadSignature)
})

test('the hash of a key is that of its SubjectPublicKeyInfo', () => {
  for (const key of [RSA_KEY, ED_KEY]) {
    const { metadata } = signed(key, Buffer.alloc(0), 'sha512')
    assert.deepEqual(readPublicKey(metadata).spkiDer, signingKeySpki(key))
  }
})

test('any bytes for a key are a key or INVALID_INPUT', () => {
  const rsaDer = rsa.publicKey.export({ format: 'der', type: 'pkcs1' })
  const anyDer = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc.nat({ max: rsaDer.length * 8 }).map(bit => flipped(rsaDer, bit)),
    fc.nat({ max: 351 }).map(bit => flipped(ed25519Spki(new Uint8Array(32)), bit)),
    fc.uint8Array({ minLength: 32, maxLength: 32 }).map(ed25519Spki)
  )
  const { hash, metadata } = signed(RSA_KEY, Buffer.from('x'), 'sha256')
  fc.assert(
    fc.property(anyDer, fc.uint8Array({ maxLength: 300 }), (der, digest) => {
      const hostile = {
        ...metadata,
        signedAtMs: 1,
        publicKey: Buffer.from(der).toString('base64'),
        digest: Buffer.from(digest)
      }
      try {
        check(hostile, hash)
        assert.fail('a random signature was taken for a good one')
      } catch (error) {
        assert.ok(error instanceof RelayError, String(error))
      }
    }),
    { numRuns: 300 }
  )
})

test('other kinds of keys, and RSA keys too short, are refused', () => {
  const refused = (key: KeyObject, type: 'spki' | 'pkcs1', pattern: RegExp): void => {
    const publicKey = key.export({ format: 'der', type }).toString('base64')
    assert.throws(() => readPublicKey({ publicKey }), pattern)
  }
  refused(generateKeyPairSync('rsa', { modulusLength: 512 }).publicKey, 'pkcs1', /an RSA key of 512 bits/)
  refused(rsa.publicKey, 'spki', /neither/)
  refused(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey, 'spki', /neither/)
  refused(generateKeyPairSync('x25519').publicKey, 'spki', /neither/)
})

test('an RSA key whose exponent is as long as its modulus is refused before anything is computed with it', () => {
  const { n = '' } = rsa.publicKey.export({ format: 'jwk' })
  const exponent = Buffer.from(n, 'base64url')
  exponent[0] = 1
  const key = createPublicKey({ key: { kty: 'RSA', n, e: exponent.toString('base64url') }, format: 'jwk' })
  const publicKey = key.export({ type: 'pkcs1', format: 'der' }).toString('base64')
  assert.throws(() => readPublicKey({ publicKey }), { code: 'INVALID_INPUT', message: /exponent of 2041 bits/ })
})
