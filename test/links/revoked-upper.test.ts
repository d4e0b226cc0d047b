import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { type WebSocket, WebSocketServer } from 'ws'
import { makeAgentCertificate } from '../../demo/pki.js'
import { makeChallenge } from '../../src/links/wire/challenge.js'
import { LINK_VERSIONS } from '../../src/values/protocol-version.js'
import { eventually } from '../support/eventually.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'
import { makeLowerSide } from '../support/parts/links.js'
import { makeRevocations } from '../support/parts/revocations.js'

test('link and lanes end once the certificate of the upper side is revoked, and no other begins', async t => {
  const own = await makeAgentCertificate({ nodeId: 'node-1', hostname: 'x' })
  const certificate = await makeAgentCertificate({ nodeId: 'rel-2', hostname: '127.0.0.1' })
  const { revocations, revoke } = await makeRevocations(join(await temporaryFolder(t), 'revocations'))
  const server = createServer({ cert: certificate.certificatePem, key: certificate.privateKeyPem })
  const sockets: WebSocket[] = []
  let introduced = 0
  new WebSocketServer({ server }).on('connection', socket => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.send(JSON.stringify(makeChallenge('rel-2', LINK_VERSIONS)))
    socket.once('message', () => {
      introduced += 1
      socket.send(JSON.stringify({ treeline: 'welcome', link: 'x', pingMs: 60_000 }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.terminate()
    server.close()
  })
  const url = `wss://127.0.0.1:${(server.address() as AddressInfo).port}`
  const upper = async () => ({
    url,
    tls: {
      ca: [certificate.certificatePem],
      allowPartialTrustChain: true,
      checkServerIdentity: () => undefined
    } as object,
    pins: undefined,
    revocations
  })
  const { dialer } = makeLowerSide(t, { url, certificate }, own, (_, response) => response.end(), { upper })
  dialer.start()
  await eventually('the link', () => dialer.status.isConnected)
  await dialer.openLane('x', 'lane')
  assert.deepEqual([sockets.length, introduced], [2, 2])

  await revoke('rel-2', certificate.fingerprint)
  await eventually('the end of both', () => sockets.every(socket => socket.readyState === socket.CLOSED))
  const reason = await eventually('another try', () => {
    const { isConnected, reason: why } = dialer.status
    return !isConnected && why?.includes('was revoked') === true && why
  })
  assert.match(reason, /the certificate of rel-2 \(sha256:[0-9a-f]{64}\) was revoked, as rel-2 joined again/)
  await assert.rejects(dialer.openLane('x', 'lane'), /was revoked/)
  assert.equal(introduced, 2, 'nothing more was said to it')
})
