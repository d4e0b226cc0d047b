import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
import { test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { endpointOf } from '../../src/agent/policy-server-endpoint.js'
import { parseAgentConfig } from '../../src/config/agent/agent-parser.js'
import { changeConfig } from '../support/relays/relay-behind-proxy.js'
import { startTree } from '../support/relays/relay-tree.js'

const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1'] },
  { id: 'relay-a', under: 'root', nodes: [], byLink: true }
]

for (const isShown of [false, true]) {
  test(`the certificate is ${isShown ? '' : 'not '}shown in the TLS handshake of a link: tls_certificate = ${isShown}`, async t => {
    const tree = await startTree(t, { relays: RELAYS, absent: ['root', 'relay-a'] })
    const [root, relayA] = [tree.relay('root'), tree.relay('relay-a')]
    const { certificatePem: cert, privateKeyPem: key } = root.certificate
    const front = createServer({ cert, key, requestCert: true, rejectUnauthorized: false })
    t.after(() => front.closeAllConnections())
    t.after(() => front.close())
    front.listen(Number(new URL(root.url).port), '127.0.0.1')
    await once(front, 'listening')
    const asked = once(front, 'upgrade')
    await changeConfig(relayA, /\[links\]/, `[links]\ntls_certificate = ${isShown}`)
    await tree.restart('relay-a')
    const [, socket] = (await asked) as [unknown, TLSSocket]
    const shown = socket.getPeerX509Certificate()?.raw
    socket.destroy()
    assert.deepEqual(shown, isShown ? relayA.certificate.certificateDer : undefined)
  })

  test(`so is that of an agent: ${isShown}`, async t => {
    const { folder, ...tree } = await startTree(t, { relays: RELAYS, absent: ['root', 'relay-a'] })
    const { certificateFile, keyFile } = tree.member('node-r1')
    const lines = [
      `certificate_file = "${certificateFile}"`,
      `key_file = "${keyFile}"`,
      'node_id = "node-r1"',
      '[upstream]',
      'host = "127.0.0.1"',
      `server_certificate_file = "${certificateFile}"`,
      `tls_certificate = ${isShown}`
    ]
    const { tls } = await endpointOf(parseAgentConfig(lines.join('\n'), undefined, folder))
    assert.equal(tls.cert !== undefined, isShown)
    assert.equal(tls.key !== undefined, isShown)
  })
}
