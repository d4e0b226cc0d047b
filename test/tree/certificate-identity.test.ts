import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { readIdentity } from '../../src/tree/import/certificate-identity.js'
import { makeNodeCertificate } from '../support/parts/node-certificates.js'

test('the node id is the user id of the subject, in any part of the name', async () => {
  const { der } = await makeNodeCertificate('node-1')
  assert.deepEqual(readIdentity(der), { userIds: ['node-1'], serial: new X509Certificate(der).serialNumber })
  const several = await makeNodeCertificate('node-1', 'node-2')
  assert.deepEqual(readIdentity(several.der).userIds, ['node-1', 'node-2'])
  const none = await makeNodeCertificate()
  assert.deepEqual(readIdentity(none.der).userIds, [])
  // what only looks like a user id, within another part, is none
  const disguised = await makeNodeCertificate('x\nUID=root')
  assert.deepEqual(readIdentity(disguised.der).userIds, ['x\nUID=root'])
})

test('says what OpenSSL says', async () => {
  for (let round = 0; round < 20; round++) {
    const { der } = await makeNodeCertificate(`node-${round}`)
    const { serialNumber, subject } = new X509Certificate(der)
    const { serial, userIds } = readIdentity(der)
    assert.equal(serial, serialNumber)
    assert.ok(subject.split('\n').includes(`UID=${userIds[0]}`))
  }
})

test('a certificate that is cut short or altered is an error or another one, and never a crash', async () => {
  const { der } = await makeNodeCertificate('node-1')
  for (let length = 0; length < der.length; length++) assert.throws(() => readIdentity(der.subarray(0, length)))
  assert.throws(() => readIdentity(Buffer.concat([der, Buffer.alloc(1)])), /something follows/)
  const alteration = fc.record({ at: fc.nat(der.length - 1), byte: fc.nat(255) })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), fc.array(alteration, { minLength: 1 })), change => {
      const altered = change instanceof Uint8Array ? Buffer.from(change) : Buffer.from(der)
      if (!(change instanceof Uint8Array)) for (const { at, byte } of change) altered[at] = byte
      try {
        assert.ok(Array.isArray(readIdentity(altered).userIds))
      } catch (error) {
        assert.ok(
          error instanceof Error && !(error instanceof RangeError) && !(error instanceof TypeError),
          String(error)
        )
      }
    }),
    { numRuns: 2_000 }
  )
})
