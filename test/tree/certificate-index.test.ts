import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CertificateIndex, packCertificates } from '../../src/tree/index/certificate-index.js'

const arbitraryFingerprint = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(bytes => Buffer.from(bytes))

test('each certificate leads to its owner, and no other to anyone', () => {
  const unique = fc.uniqueArray(arbitraryFingerprint, { selector: bytes => bytes.toString('hex'), minLength: 1 })
  fc.assert(
    fc.property(unique, ([stranger = Buffer.alloc(32), ...listed]) => {
      const index = new CertificateIndex(packCertificates(listed.map((fingerprint, owner) => ({ fingerprint, owner }))))
      for (const [owner, fingerprint] of listed.entries()) assert.equal(index.ownerOf(fingerprint), owner)
      assert.equal(index.ownerOf(stranger), undefined)
    })
  )
})

test('fingerprints that begin alike are told apart', () => {
  const listed = Array.from({ length: 20 }, (_, owner) => {
    const fingerprint = Buffer.alloc(32, 7)
    fingerprint[31] = owner
    return { fingerprint, owner }
  })
  const index = new CertificateIndex(packCertificates(listed))
  for (const { fingerprint, owner } of listed) assert.equal(index.ownerOf(fingerprint), owner)
  assert.equal(index.ownerOf(Buffer.alloc(32, 7).fill(20, 31)), undefined)
})

test('what is no fingerprint has no owner', () => {
  const index = new CertificateIndex(packCertificates([]))
  for (const length of [0, 3, 31, 33, 64]) assert.equal(index.ownerOf(Buffer.alloc(length)), undefined)
})
