import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { makeAgentCertificate } from '../../demo/pki.js'
import { fingerprint } from '../../src/keys/certificates/fingerprint.js'
import type { Upper } from '../../src/links/lower/upper.js'
import { eventually } from '../support/eventually.js'
import { makeChain } from '../support/network/openssl-certificate.js'
import { makeLowerSide, startUpperSide } from '../support/parts/links.js'
import { temporaryFolder } from '../support/parts/neighbours.js'

const serve = () => undefined
const MANY_NAMES = `subjectAltName = ${Array.from({ length: 400 }, (_, index) => `DNS:host-${index}.of-the-upper.example`).join(', ')}`

/** A lower side, and an upper side that can show another certificate from then on, which the lower side believes too. */
async function startSides(t: TestContext) {
  const own = await makeAgentCertificate({ nodeId: 'node-1', hostname: 'x' })
  const upper = await startUpperSide(t, new Map([[own.certificateDer.toString('base64'), 'node-1']]))
  let secure = 0
  upper.server.on('secureConnection', () => {
    secure += 1
  })
  const trusted = [upper.certificate.certificatePem]
  const pins = new Set([upper.certificate.fingerprint])
  const tls: Upper['tls'] = { ca: trusted, allowPartialTrustChain: true, checkServerIdentity: () => undefined }
  const { dialer } = makeLowerSide(t, upper, own, serve, { upper: async () => ({ url: upper.url, tls, pins }) })
  const show = async (length: number, more?: string, isTrusted = true) => {
    const chain = await makeChain(await temporaryFolder(t), length, more)
    upper.server.setSecureContext(chain)
    if (!isTrusted) return
    const leaf = new X509Certificate(chain.cert)
    trusted.push(leaf.toString())
    pins.add(fingerprint(leaf.raw))
  }
  return { dialer, show, upper, handshakes: () => secure }
}

test('an upper side whose certificates are too long to verify gets no link, and they are not verified', async t => {
  const { dialer, show, handshakes } = await startSides(t)
  await show(4, MANY_NAMES)
  dialer.start()
  const reason = await eventually('a try', () => dialer.status.reason !== 'not tried yet' && dialer.status.reason)
  assert.match(reason, /^wss:.*: it shows over 24576 bytes in its TLS handshake, too costly to verify/)
  assert.equal(handshakes(), 0)
})

test('an upper side with many small certificates gets no link', async t => {
  const { dialer, show } = await startSides(t)
  await show(12)
  dialer.start()
  const reason = await eventually('a try', () => dialer.status.reason !== 'not tried yet' && dialer.status.reason)
  assert.match(reason, /^wss:.*: it shows 12 certificates of \d+ bytes .*, too costly to verify/)
})

for (const [length, more] of [[12], [4, MANY_NAMES]] as const) {
  test(`a link ends when its upper side shows ${length} costly certificates for a lane`, async t => {
    const { dialer, show, upper } = await startSides(t)
    dialer.start()
    const link = await eventually('the link', () => dialer.status.isConnected && upper.registry.all()[0])
    await show(length, more)
    await assert.rejects(dialer.openLane(link.id, 'lane'), /too costly to verify/)
    const { reason } = await eventually('the end', () => !dialer.status.isConnected && dialer.status)
    assert.match(reason ?? '', /too costly to verify/)
  })
}

for (const isTrusted of [true, false]) {
  test(`so it does when it shows them, ${isTrusted ? 'believed' : 'of nobody'}, and refuses each lane`, async t => {
    const { dialer, show, upper } = await startSides(t)
    dialer.start()
    const link = await eventually('the link', () => dialer.status.isConnected && upper.registry.all()[0])
    upper.server.removeAllListeners('upgrade')
    upper.server.on('request', (_request, response: ServerResponse) => response.writeHead(404).end())
    await show(12, undefined, isTrusted)
    await assert.rejects(dialer.openLane(link.id, 'lane'), /too costly to verify/)
    await eventually('the end', () => !dialer.status.isConnected)
  })
}
