import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import {
  asCa,
  type Ca,
  type CertificateMaterial,
  issueCertificate,
  makeAgentCertificate,
  makeCa
} from '../../demo/pki.js'
import type { Hop, HopOutcome } from '../../src/hops/hop.js'
import { RelayError } from '../../src/values/failures/relay-error.js'
import { startHttpsPeer } from '../support/network/tls-peer.js'
import { startNeighbours, temporaryFolder } from '../support/parts/neighbours.js'
import { makeRevocations } from '../support/parts/revocations.js'

let relay: CertificateMaterial
let other: CertificateMaterial
let ca: Ca

before(async () => {
  relay = await makeAgentCertificate({ nodeId: 'relay1', hostname: 'relay1.example.com' })
  other = await makeAgentCertificate({ nodeId: 'relay1', hostname: 'relay1.example.com' })
  ca = await makeCa()
})

async function ask(hop: Hop): Promise<HopOutcome> {
  const outcome = await hop.request({ method: 'GET', path: 'uuid', headers: {} })
  if (outcome.kind !== 'unreachable') outcome.body.resume()
  return outcome
}

function assertRefused(outcome: HopOutcome, reason: RegExp): void {
  assert.equal(outcome.kind, 'unreachable')
  if (outcome.kind !== 'unreachable') return
  assert.match(outcome.reason, reason)
  assert.equal(outcome.sent, false)
}

test('pinning: the certificate listed for the node is accepted, whatever its host name', async t => {
  const peer = await startHttpsPeer(t, relay, (_, response) => response.end())
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [other, relay], hostname: 'else.example' })
  assert.equal((await ask(neighbours.down('relay1'))).kind, 'answered')
})

test('pinning: an issued certificate can be pinned without its authority', async t => {
  const issued = await issueCertificate(ca, { nodeId: 'relay1', hostname: 'relay1.example.com' })
  const peer = await startHttpsPeer(t, issued, (_, response) => response.end())
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [issued] })
  assert.equal((await ask(neighbours.down('relay1'))).kind, 'answered')
})

test('pinning: another certificate is refused before anything is sent', async t => {
  const asked: string[] = []
  const peer = await startHttpsPeer(t, other, (request, response) => {
    asked.push(request.url ?? '')
    response.end()
  })
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  assertRefused(await ask(neighbours.down('relay1')), /certificate/)
  assert.deepEqual(asked, [])
})

test('pinning: a certificate that a pinned one signed is refused, though OpenSSL would take it', async t => {
  const forged = await issueCertificate(asCa(relay, 'relay1'), { nodeId: 'root', hostname: 'localhost' })
  const asked: string[] = []
  const peer = await startHttpsPeer(t, forged, (request, response) => {
    asked.push(request.url ?? '')
    response.end()
  })
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  assertRefused(await ask(neighbours.down('relay1')), /sha256:[0-9a-f]{64}\) that is not one of those known/)
  assert.deepEqual(asked, [])
})

test('pinning: every connection is a full handshake, with the certificate shown again', async t => {
  const resumed: boolean[] = []
  const peer = await startHttpsPeer(t, relay, (request, response) => {
    resumed.push((request.socket as TLSSocket).isSessionReused())
    response.setHeader('connection', 'close').end()
  })
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  for (let count = 0; count < 3; count += 1) assert.equal((await ask(neighbours.down('relay1'))).kind, 'answered')
  assert.deepEqual(resumed, [false, false, false])
})

test('pinning: a certificate that is removed counts at once, also where a connection is open', async t => {
  const peer = await startHttpsPeer(t, relay, (_, response) => response.end())
  const { neighbours, change } = await startNeighbours(t, { port: peer.port, pins: [relay] })
  assert.equal((await ask(neighbours.down('relay1'))).kind, 'answered')
  change({ pins: [other] })
  assertRefused(await ask(neighbours.down('relay1')), /certificate/)
  change({ pins: [] })
  assertRefused(await ask(neighbours.down('relay1')), /no certificate of it is known, see .*allnodescerts\.pem/)
  change({ pins: [relay] })
  assert.equal((await ask(neighbours.down('relay1'))).kind, 'answered')
})

test('pinning: the policy server is known by its file, which a reload reads again', async t => {
  const peer = await startHttpsPeer(t, relay, (_, response) => response.end())
  const { neighbours, folder } = await startNeighbours(t, { port: peer.port, upstream: { certificate: other } })
  const hop = neighbours.up()
  assertRefused(await ask(hop), /certificate/)
  await writeFile(join(folder, 'upstream.pem'), `${other.certificatePem}${relay.certificatePem}`)
  assertRefused(await ask(hop), /certificate/)
  await neighbours.reload()
  assert.equal((await ask(hop)).kind, 'answered')
  await rm(join(folder, 'upstream.pem'))
  await neighbours.reload()
  assertRefused(await ask(hop), /cannot read .*upstream\.pem/)
  await writeFile(join(folder, 'upstream.pem'), 'nothing')
  await neighbours.reload()
  assertRefused(await ask(hop), /no certificate in .*upstream\.pem/)
})

test('validation: issued by the CA for that very host name', async t => {
  const issued = await issueCertificate(ca, { nodeId: 'relay1', hostname: 'relay1.example.com', loopback: false })
  const peer = await startHttpsPeer(t, issued, (_, response) => response.end())
  const options = { mode: 'cert_validation', port: peer.port, ca } as const
  const right = await startNeighbours(t, { ...options, hostname: 'relay1.example.com' })
  assert.equal((await ask(right.neighbours.down('relay1'))).kind, 'answered')
  const wrong = await startNeighbours(t, { ...options, hostname: 'relay2.example.com' })
  assertRefused(await ask(wrong.neighbours.down('relay1')), /is for other names .*relay1\.example\.com/)
  const address = await startNeighbours(t, { ...options, hostname: '10.1.2.3' })
  assertRefused(await ask(address.neighbours.down('relay1')), /is for other names/)
  const system = await startNeighbours(t, { mode: 'cert_validation', port: peer.port, hostname: 'relay1.example.com' })
  assertRefused(await ask(system.neighbours.down('relay1')), /issued by nobody whom this machine trusts/)
})

test('validation: a certificate of another node is refused, whatever its host name; one that names none is not', async t => {
  const hostname = 'relay1.example.com'
  const start = async (subject: Parameters<typeof issueCertificate>[1]) => {
    const issued = await issueCertificate(ca, { ...subject, loopback: false })
    return (await startHttpsPeer(t, issued, (_, response) => response.end())).port
  }
  const port = await start({ nodeId: 'relay2', hostname })
  const options = { mode: 'cert_validation', ca, hostname } as const
  const other = await startNeighbours(t, { ...options, port })
  assertRefused(await ask(other.neighbours.down('relay1')), /a certificate of the node "relay2", not of relay1/)
  const none = await startNeighbours(t, { ...options, port: await start({ nodeId: undefined, hostname }) })
  assert.equal((await ask(none.neighbours.down('relay1'))).kind, 'answered')
  const loopback = await issueCertificate(ca, { nodeId: 'relay2', hostname })
  const above = await startHttpsPeer(t, loopback, (_, response) => response.end())
  for (const [nodeId, isGood] of [
    ['relay2', true],
    ['root', false],
    [undefined, true]
  ] as const) {
    const { neighbours } = await startNeighbours(t, { ...options, port: above.port, upstream: { nodeId } })
    const outcome = await ask(neighbours.up())
    if (isGood) assert.equal(outcome.kind, 'answered')
    else assertRefused(outcome, /a certificate of the node "relay2", not of root/)
  }
})

test('validation: a self-signed certificate is refused, listed or not', async t => {
  const peer = await startHttpsPeer(t, relay, (_, response) => response.end())
  const options = { mode: 'cert_validation', port: peer.port, ca, pins: [relay] } as const
  const { neighbours } = await startNeighbours(t, { ...options, hostname: 'relay1.example.com' })
  assertRefused(await ask(neighbours.down('relay1')), /issued by nobody whom this machine trusts/)
})

test('dangerous_none accepts anyone', async t => {
  const peer = await startHttpsPeer(t, other, (_, response) => response.end())
  const { neighbours } = await startNeighbours(t, { mode: 'dangerous_none', port: peer.port })
  assert.equal((await ask(neighbours.down('relay1'))).kind, 'answered')
})

test('TLS 1.2 is refused', async t => {
  const peer = await startHttpsPeer(t, relay, (_, response) => response.end(), {
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2'
  })
  const { neighbours } = await startNeighbours(t, { mode: 'dangerous_none', port: peer.port })
  assertRefused(await ask(neighbours.down('relay1')), /does not speak TLS 1\.3/)
})

test('our own certificate is presented', async t => {
  let presented: string | undefined
  const peer = await startHttpsPeer(
    t,
    relay,
    (request, response) => {
      presented = (request.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256
      response.end()
    },
    { requestCert: true, rejectUnauthorized: false }
  )
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay], own: other })
  await ask(neighbours.down('relay1'))
  assert.equal(presented?.replaceAll(':', '').toLowerCase(), other.fingerprint)
})

test('only the policy server gets the credentials', async t => {
  const seen: (string | undefined)[] = []
  const peer = await startHttpsPeer(t, relay, (request, response) => {
    seen.push(request.headers.authorization)
    response.end()
  })
  const upstream = { certificate: relay, user: 'rudder', password: 'p:ä' }
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [relay], upstream })
  const request = { method: 'GET', path: 'uuid', headers: { authorization: 'Bearer of-a-caller' } } as const
  for (const hop of [neighbours.up(), neighbours.down('relay1')]) {
    const outcome = await hop.request(request)
    assert.equal(outcome.kind, 'answered')
    if (outcome.kind === 'answered') outcome.body.resume()
  }
  assert.deepEqual(seen, [`Basic ${Buffer.from('rudder:p:ä').toString('base64')}`, undefined])
})

test('who is no neighbour is unknown', async t => {
  const { neighbours } = await startNeighbours(t, { port: 1, pins: [relay] })
  const isUnknown = (error: unknown) => error instanceof RelayError && error.code === 'UNKNOWN_NODE'
  for (const id of ['node1', 'root', 'nobody']) assert.throws(() => neighbours.down(id), isUnknown)
  assert.throws(() => neighbours.up(), isUnknown)
})

test('a host name that holds more than a name reaches nothing', async t => {
  const peer = await startHttpsPeer(t, relay, (_, response) => response.end())
  for (const host of ['localhost@127.0.0.1', '127.0.0.1/x', 'a b', '127.0.0.1?', '']) {
    const { neighbours } = await startNeighbours(t, { mode: 'dangerous_none', port: peer.port, host })
    assertRefused(await ask(neighbours.down('relay1')), /relay1/)
  }
  assert.equal(peer.connections(), 0)
})

test('a revoked certificate is refused before anything is sent, and what stands by it breaks off', async t => {
  const asked: string[] = []
  const issued = await issueCertificate(ca, { nodeId: 'relay1', hostname: 'relay1.example.com' })
  const peer = await startHttpsPeer(t, issued, (request, response) => {
    asked.push(request.url ?? '')
    response.write('the beginning')
  })
  const { revocations, revoke } = await makeRevocations(join(await temporaryFolder(t), 'revocations'))
  const options = { mode: 'cert_validation', ca, hostname: 'relay1.example.com', port: peer.port, revocations } as const
  const { neighbours } = await startNeighbours(t, options)
  const outcome = await neighbours.down('relay1').request({ method: 'GET', path: 'uuid', headers: {} })
  assert.ok(outcome.kind === 'answered')
  const broken = assert.rejects(outcome.body.toArray())
  await revoke('relay1', issued.fingerprint)
  await broken
  assert.equal(asked.length, 1)
  assertRefused(
    await ask(neighbours.down('relay1')),
    /the certificate of relay1 .* was revoked, as relay1 joined again/
  )
  assert.equal(asked.length, 1)
})
