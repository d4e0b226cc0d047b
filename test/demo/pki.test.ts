import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { encryptedPkcs1Pem, makeKey, readKey } from '../../demo/agent-keys.js'
import { issueCertificate, makeAgentCertificate, makeCa } from '../../demo/pki.js'

test('an agent certificate is self-signed, CA:TRUE, and names its node', async () => {
  const made = await makeAgentCertificate({ nodeId: 'node_1.a-b', hostname: 'node1.example.com', kind: 'rsa' })
  const read = new X509Certificate(made.certificatePem)
  assert.equal(read.subject, 'UID=node_1.a-b')
  assert.equal(read.ca, true)
  assert.ok(read.checkIssued(read) && read.verify(read.publicKey))
  assert.equal(read.fingerprint256.replaceAll(':', '').toLowerCase(), made.fingerprint)
  assert.equal(read.checkHost('node1.example.com'), 'node1.example.com')
  assert.equal(read.checkIP('127.0.0.1'), '127.0.0.1')
  assert.deepEqual(read.publicKey.export({ type: 'spki', format: 'der' }), made.publicKeySpki)
  assert.ok(made.publicKeyPkcs1Base64)
})

test('an issued certificate is no CA, and is signed by its own', async () => {
  const ca = await makeCa()
  const other = await makeCa('Other')
  const made = await issueCertificate(ca, { nodeId: 'root', hostname: 'root.example.com', loopback: false })
  const read = new X509Certificate(made.certificateDer)
  assert.equal(read.ca, false)
  assert.ok(read.verify(new X509Certificate(ca.certificatePem).publicKey))
  assert.ok(!read.verify(new X509Certificate(other.certificatePem).publicKey))
  assert.equal(read.checkHost('localhost'), undefined)
})

test('a key goes through the encrypted form of existing agents', async () => {
  const key = await makeKey('rsa')
  const pem = encryptedPkcs1Pem(key, 'a passphrase')
  assert.match(pem, /^-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED/)
  assert.equal(readKey(pem, 'a passphrase').keyHash, key.keyHash)
})
