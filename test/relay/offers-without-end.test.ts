import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createPlainServer, type IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, connect as connectTcp } from 'node:net'
import type { Duplex } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { makeAgentCertificate } from '../../demo/pki.js'
import { MAX_OFFERS_IN_TURN, serveUpgrades } from '../../src/relay/listening/upgrades.js'
import { MAX_BYTES_BEHIND_OFFER } from '../../src/relay/listening/without-upgrade.js'
import { eventually } from '../support/eventually.js'

const OFFER = 'GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n'

/** A server that answers with the number of bytes of each body. @returns its port, and the most that waited behind an offer */
async function startServer(t: TestContext): Promise<{ readonly port: number; most(): number }> {
  const { certificatePem: cert, privateKeyPem: key } = await makeAgentCertificate({
    nodeId: 'root',
    hostname: 'localhost'
  })
  const server = createServer({ cert, key }, async (request, response) => {
    let bytes = 0
    for await (const chunk of request) bytes += (chunk as Buffer).length
    response.end(`${bytes}`)
  })
  let most = 0
  server.on('upgrade', (_request: IncomingMessage, socket: Duplex, head: Buffer) => {
    most = Math.max(most, socket.readableLength + head.length)
  })
  serveUpgrades(server, 'secureConnection', undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, most: () => most }
}

function open(t: TestContext, port: number): TLSSocket {
  const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  t.after(() => client.destroy())
  return client
}

test('a connection with ever more requests behind offers of a protocol is closed, and no more of it is kept', async t => {
  const server = await startServer(t)
  const client = open(t, server.port)
  client.on('error', () => undefined)
  client.resume()
  const block = OFFER.repeat(4_000)
  const send = () => {
    while (client.writable && client.write(block));
  }
  client.on('drain', send)
  client.once('secureConnect', send)
  await new Promise(resolve => client.once('close', resolve))
  assert.ok(server.most() < 2 * MAX_BYTES_BEHIND_OFFER, `${server.most()} bytes were kept`)
})

test('some requests that offer a protocol, and one with a body, are answered', async t => {
  const server = await startServer(t)
  const client = open(t, server.port)
  const body = 'x'.repeat(3_000_000)
  const last = `PUT / HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: close, upgrade\r\nContent-Length: ${body.length}\r\n\r\n`
  client.write(`${OFFER.repeat(2)}${last}${body}`)
  let text = ''
  for await (const chunk of client) text += String(chunk)
  assert.equal(text.match(/HTTP\/1\.1 200 OK/g)?.length, 3)
  assert.match(text, /3000000$/)
})

test('offers of many connections are taken a few in a turn of the event loop', async t => {
  let begun = 0
  let most = 0
  const server = createPlainServer((_request, response) => {
    begun += 1
    response.end()
  })
  serveUpgrades(server, 'connection', undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  let before = 0
  const look = () => {
    most = Math.max(most, begun - before)
    before = begun
    if (server.listening) setImmediate(look)
  }
  look()
  const { port } = server.address() as AddressInfo
  const clients = Array.from({ length: 8 }, () => connectTcp(port, '127.0.0.1').resume())
  for (const client of clients) client.write(OFFER.repeat(100))
  await eventually('all to be answered', () => begun === 800)
  for (const client of clients) client.destroy()
  assert.ok(most <= 2 * MAX_OFFERS_IN_TURN, `${most} in one turn`)
})
