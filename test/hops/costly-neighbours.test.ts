import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { type CertificateMaterial, makeAgentCertificate } from '../../demo/pki.js'
import type { Hop, HopOutcome } from '../../src/hops/hop.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { makeChain } from '../support/network/openssl-certificate.js'
import { startHttpsPeer } from '../support/network/tls-peer.js'
import { startNeighbours, temporaryFolder } from '../support/parts/neighbours.js'

async function ask(hop: Hop): Promise<HopOutcome> {
  const outcome = await hop.request({ method: 'GET', path: 'uuid', headers: {} })
  if (outcome.kind !== 'unreachable') outcome.body.resume()
  return outcome
}

async function reasonsOf(hop: Hop, count: number): Promise<string[]> {
  const outcomes = await Promise.all(Array.from({ length: count }, () => ask(hop)))
  return outcomes.map(outcome => (outcome.kind === 'unreachable' ? outcome.reason : outcome.kind))
}

function manyNames(count: number): string {
  return `subjectAltName = ${Array.from({ length: count }, (_, index) => `DNS:host-${index}.of-the-relay.example`).join(', ')}`
}

/** A relay's certificate with others behind it. */
async function chainOf(folder: string, length: number, more?: string): Promise<CertificateMaterial> {
  const { cert, key } = await makeChain(folder, length, more)
  const own = await makeAgentCertificate({ nodeId: 'relay1', hostname: 'localhost' })
  return { ...own, certificatePem: cert, certificateDer: new X509Certificate(cert).raw, privateKeyPem: key }
}

test('a pinned neighbour with a long chain takes one handshake, and is then left alone', async t => {
  const shown = await chainOf(await temporaryFolder(t), 12)
  const peer = await startHttpsPeer(t, shown, (_, response) => response.setHeader('connection', 'close').end())
  const warned: object[] = []
  const logger = { ...silentLogger, warn: (details: object) => void warned.push(details) }
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [shown], logger })
  const reasons = [
    ...(await reasonsOf(neighbours.down('relay1'), 8)),
    ...(await reasonsOf(neighbours.down('relay1'), 8))
  ]
  for (const reason of reasons) assert.match(reason, /it shows 12 certificates of \d+ bytes .*, too costly to verify/)
  assert.ok(peer.connections() <= 1, `${peer.connections()} handshakes`)
  assert.equal(warned.length, 1)
  assert.match(JSON.stringify(warned), /"hop":"relay1","shown":"12 certificates/)
})

test('so does one whose large chain leads nowhere', async t => {
  const shown = await chainOf(await temporaryFolder(t), 4, manyNames(180))
  const listed = await makeAgentCertificate({ nodeId: 'relay1', hostname: 'localhost' })
  const peer = await startHttpsPeer(t, shown, (_, response) => response.end())
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [listed] })
  const reasons = [
    ...(await reasonsOf(neighbours.down('relay1'), 8)),
    ...(await reasonsOf(neighbours.down('relay1'), 8))
  ]
  for (const reason of reasons) assert.match(reason, /it shows 4 certificates of \d+ bytes .*, too costly to verify/)
  assert.ok(peer.connections() <= 1, `${peer.connections()} handshakes`)
})

test('one whose chain is larger still takes none', async t => {
  const shown = await chainOf(await temporaryFolder(t), 4, manyNames(400))
  const peer = await startHttpsPeer(t, shown, (_, response) => response.end())
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [shown] })
  const reasons = await reasonsOf(neighbours.down('relay1'), 8)
  for (const reason of reasons) assert.match(reason, /it shows over 24576 bytes in its TLS handshake, too costly/)
  assert.equal(peer.connections(), 0, 'handshakes')
})

test('a pinned neighbour with two certificates behind its own is connected to', async t => {
  const shown = await chainOf(await temporaryFolder(t), 3)
  const peer = await startHttpsPeer(t, shown, (_, response) => response.end())
  const { neighbours } = await startNeighbours(t, { port: peer.port, pins: [shown] })
  assert.equal((await ask(neighbours.down('relay1'))).kind, 'answered')
})
