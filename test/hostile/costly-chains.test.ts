import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
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

test('a relay verifies nothing of a long chain at the address to which its link goes, and says why there is no link', async t => {
  const relays = [
    { id: 'root', under: 'root', nodes: [] },
    { id: 'relay-a', under: 'root', nodes: ['n1'], byLink: true }
  ]
  const tree = await startTree(t, { relays, absent: ['root', 'relay-a'] })
  const names = Array.from({ length: 400 }, (_, index) => `DNS:host-${index}.of-somebody.example`)
  const server = createServer(await makeChain(await temporaryFolder(t), 4, `subjectAltName = ${names.join(', ')}`))
  server.on('secureConnection', () => assert.fail('its certificates were verified'))
  server.on('tlsClientError', () => undefined)
  server.listen(Number(new URL(tree.relay('root').url).port), '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const relay = await tree.restart('relay-a')
  const line = await relay.logged(text => text.includes('cannot open link'))
  assert.match(line, /it shows over 24576 bytes in its TLS handshake, too costly to verify/)
  await assertServes(tree, tree.relay('relay-a'), 'n1', 'n1')
})
