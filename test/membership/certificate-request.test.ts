import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeRequest, readRequest } from '../../src/membership/certificate-request.js'
import { RelayError } from '../../src/values/failures/relay-error.js'
import { temporaryFolder } from '../support/parts/neighbours.js'

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const SPKI = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })

const isInvalid = (error: unknown) => error instanceof RelayError && error.code === 'INVALID_INPUT'

test('a request that was made is read, with the longest id too', async () => {
  for (const id of ['n', 'node-1.example', 'x'.repeat(128)]) {
    const found = readRequest(await makeRequest(id, privateKey))
    assert.equal(found.id, id)
    assert.deepEqual(found.publicKey, SPKI)
  }
})

test('one that openssl makes is read, with another name and an extension besides', async t => {
  const folder = await temporaryFolder(t)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'key')
  const more = ['-subj', '/CN=other/UID=node-1', '-addext', 'subjectAltName=DNS:other']
  openssl('req', '-new', '-key', 'key', ...more, '-outform', 'DER', '-out', 'request')
  assert.equal(readRequest(await readFile(join(folder, 'request'))).id, 'node-1')
})

test('a request with any byte changed, cut or added is refused, and nothing else is thrown', async () => {
  const request = await makeRequest('node-1', privateKey)
  fc.assert(
    fc.property(fc.nat(request.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = Buffer.from(request)
      changed[at] = (changed[at] ?? 0) ^ change
      assert.throws(() => readRequest(changed), isInvalid)
    }),
    { numRuns: 2_000 }
  )
  for (let length = 0; length < request.length; length += 1) {
    assert.throws(() => readRequest(request.subarray(0, length)), isInvalid)
  }
  assert.throws(() => readRequest(Buffer.concat([request, Buffer.of(0)])), isInvalid)
})

test('rubbish, and a subject of many parts, are refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), bytes => {
      assert.throws(() => readRequest(Buffer.from(bytes)), isInvalid)
    })
  )
  assert.throws(() => readRequest(Buffer.alloc(513)), /it has 513 bytes/)
})
