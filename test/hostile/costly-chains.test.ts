import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { makeChain } from '../support/network/openssl-certificate.js'
import { temporaryFolder } from '../support/parts/neighbours.js'
import { assertServes } from '../support/relays/relay-health.js'
import { startTree } from '../support/relays/relay-tree.js'

test('a node that shows a long chain behind its own certificate is named in the log, and others are served', async t => {
  const tree = await startTree(t, { relays: [{ id: 'root', under: 'root', nodes: ['n1'] }] })
  const relay = tree.relay('root')
  const { certificatePem, privateKeyPem: key } = tree.member('n1').certificate
  const behind = await makeChain(await temporaryFolder(t), 12)
  const { hostname: host, port } = new URL(relay.url)
  // `localAddress` is passed on to `net.connect`
  const from = { host, port: Number(port), localAddress: '127.0.0.50' }
  const options = { ...from, rejectUnauthorized: false, cert: certificatePem + behind.cert, key }
  const socket = connect(options)
  t.after(() => socket.destroy())
  socket.write('GET /uuid HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(socket, 'data')
  const line = await tree.processes.get('root')?.logged(text => text.includes('costly to verify'))
  assert.match(line ?? '', /"source":"127\.0\.0\.50","caller":"n1","shown":"13 certificates of \d+ bytes/)
  await assertServes(tree, relay, 'n1', 'n1')
})
