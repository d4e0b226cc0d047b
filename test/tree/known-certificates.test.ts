import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { type CertificateMaterial, makeAgentCertificate } from '../../demo/pki.js'
import { neighbourOn } from '../../src/tree/known-certificates.js'
import { eventually } from '../support/eventually.js'
import { startHttpsPeer } from '../support/network/tls-peer.js'
import { topologyOf } from '../support/parts/shared-file-relays.js'

const NODES = [
  { id: 'root', policyServer: 'root' },
  { id: 'relay', policyServer: 'root' },
  { id: 'node', policyServer: 'relay' }
]

/** Our side of a connection whose other side shows a certificate, or none. */
async function connectionOf(t: TestContext, own: CertificateMaterial, shown?: CertificateMaterial): Promise<TLSSocket> {
  const peer = await startHttpsPeer(t, own, (_, response) => response.end(), {
    requestCert: true,
    rejectUnauthorized: false
  })
  const identity = shown === undefined ? {} : { cert: shown.certificatePem, key: shown.privateKeyPem }
  const client = connect({ host: '127.0.0.1', port: peer.port, rejectUnauthorized: false, ...identity })
  t.after(() => client.destroy())
  await once(client, 'secureConnect')
  return eventually('its connection', () => [...peer.sockets][0])
}

test('a neighbour is known by the certificate of its connection, as certificates and tree are at each look', async t => {
  const [own, shown] = await Promise.all([
    makeAgentCertificate({ nodeId: 'root', hostname: 'localhost' }),
    makeAgentCertificate({ nodeId: 'relay', hostname: 'localhost' })
  ])
  const socket = await connectionOf(t, own, shown)
  const print = shown.fingerprint
  let owner: string | undefined = 'relay'
  let tree = topologyOf('root', NODES)
  const facts = {
    certificates: {
      nodeOf: (fingerprint: string) => (fingerprint === print ? owner : undefined),
      isPolicyServer: (fingerprint: string) => fingerprint === print && owner === 'above'
    },
    topology: () => tree
  }
  assert.deepEqual(neighbourOn(socket, facts), { kind: 'relay', id: 'relay' })
  tree = topologyOf('root', NODES.slice(0, 2))
  assert.deepEqual(neighbourOn(socket, facts), { kind: 'node', id: 'relay' }, 'nobody is below it now')
  owner = 'above'
  assert.deepEqual(neighbourOn(socket, facts), { kind: 'policy-server' })
  owner = undefined
  assert.equal(neighbourOn(socket, facts), undefined, 'it is nobody: removed, or revoked')

  const without = await connectionOf(t, own)
  owner = 'relay'
  assert.equal(neighbourOn(without, facts), undefined)
  assert.equal(neighbourOn({}, facts), undefined, 'no connection with TLS')
})

test('the certificate of a connection is made out once', async t => {
  const own = await makeAgentCertificate({ nodeId: 'root', hostname: 'localhost' })
  const socket = await connectionOf(t, own, own)
  const looks = t.mock.method(socket, 'getPeerX509Certificate')
  const facts = {
    certificates: { nodeOf: () => 'node', isPolicyServer: () => false },
    topology: () => topologyOf('root', NODES)
  }
  for (let look = 0; look < 3; look += 1) assert.deepEqual(neighbourOn(socket, facts), { kind: 'node', id: 'node' })
  assert.equal(looks.mock.callCount(), 1)
})
