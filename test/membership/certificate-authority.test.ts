import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { makeAgentCertificate } from '../../demo/pki.js'
import { formatCertificate } from '../../src/keys/certificates/pem.js'
import { hostnamesOf, isIssued } from '../../src/membership/certificates.js'
import {
  type CertificatePurpose,
  makeAuthority,
  openAuthority
} from '../../src/membership/root/certificate-authority.js'
import { publicKeyOf } from '../../src/membership/setup/member-folder.js'
import { readIdentity } from '../../src/tree/import/certificate-identity.js'

async function issue(purpose: CertificatePurpose, hostnames: readonly string[], lifetimeMs = 3_600_000) {
  const pem = await makeAuthority('Test CA', Date.now())
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const publicKey = publicKeyOf(privateKey)
  const asked = { id: 'relay-1', purpose, hostnames, publicKey, nowMs: Date.now(), lifetimeMs }
  const der = await openAuthority(pem).issue(asked)
  return {
    ca: pem.certificate,
    der,
    cert: formatCertificate(der),
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' }))
  }
}

/** Whether a TLS client that trusts the CA takes a server with this certificate, at a host name. */
async function isTakenAsServer({ ca, cert, key }: Awaited<ReturnType<typeof issue>>, servername: string) {
  const server = createServer({ cert, key }, socket => socket.on('error', () => undefined).end())
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client: TLSSocket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', ca, servername })
  const taken = await new Promise<boolean>(resolve => {
    client.once('secureConnect', () => resolve(true))
    client.once('error', () => resolve(false))
  })
  client.destroy()
  server.close()
  await once(server, 'close')
  return taken
}

test('a relay is taken for a server by its host name, and by no other', async () => {
  const relay = await issue('relay', ['relay-1.example', '192.0.2.7', '2001:db8::7'])
  assert.equal(await isTakenAsServer(relay, 'relay-1.example'), true)
  assert.equal(await isTakenAsServer(relay, 'relay-2.example'), false)
  assert.deepEqual(
    hostnamesOf(relay.der).map(name => name.toLowerCase().replace(/(:0)+:/, '::')),
    ['relay-1.example', '192.0.2.7', '2001:db8::7']
  )
})

test('a node is never taken for a server, whatever it is called', async () => {
  assert.equal(await isTakenAsServer(await issue('node', ['relay-1.example']), 'relay-1.example'), false)
})

test('serial and id read as the tree reads them, and what others issued is told apart', async () => {
  const { der, ca } = await issue('node', [])
  const certificate = new X509Certificate(der)
  assert.deepEqual(readIdentity(der), { userIds: ['relay-1'], serial: certificate.serialNumber })
  assert.equal(isIssued(certificate), true)
  assert.equal(certificate.ca, false)
  assert.equal(new X509Certificate(ca).ca, true)
  const agents = await makeAgentCertificate({ nodeId: 'relay-1', hostname: 'x.example' })
  assert.equal(isIssued(new X509Certificate(agents.certificatePem)), false)
})

test('a short-lived one is not past two thirds of its life when it is new', async () => {
  const { der } = await issue('node', [], 6_000)
  const { validFrom, validTo } = new X509Certificate(der)
  assert.ok(Date.parse(validTo) - Date.parse(validFrom) <= 8_000)
})

test('a CA whose key is another one is refused', async () => {
  const one = await makeAuthority('Test CA', Date.now())
  const other = await makeAuthority('Test CA', Date.now())
  assert.throws(
    () => openAuthority({ ...one, key: other.key }),
    /^Error: the CA's key is not the key of the CA's certificate: they go together$/
  )
})
