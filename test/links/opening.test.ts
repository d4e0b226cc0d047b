import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { makeAgentCertificate } from '../../demo/pki.js'
import { openRaw } from '../../src/links/lower/open-raw.js'
import { openWebSocket } from '../../src/links/lower/open-web-socket.js'
import type { OpenedTransport } from '../../src/links/lower/upper.js'
import { startRawPeer } from '../support/network/tls-peer.js'

/** Opens a link to a server that does so with each request. */
async function openTo(
  t: TestContext,
  open: typeof openWebSocket,
  answer: (socket: TLSSocket, request: string) => void,
  use: (opened: OpenedTransport) => Promise<unknown> = async () => assert.fail('it opened')
) {
  const certificate = await makeAgentCertificate({ nodeId: 'root', hostname: '127.0.0.1' })
  const peer = await startRawPeer(t, certificate, socket =>
    socket.once('data', request => answer(socket, String(request)))
  )
  const upper = { url: `wss://127.0.0.1:${peer.port}`, tls: { rejectUnauthorized: false }, pins: undefined }
  return { opened: open(upper, new AbortController().signal, use), peer }
}

for (const [name, open] of [
  ['a link', openWebSocket],
  ['a lane of raw bytes', openRaw]
] as const) {
  test(`the opening of ${name} ends after some informational answers`, async t => {
    const { opened } = await openTo(t, open, socket => {
      const some = 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(100)
      const say = () => void socket.write(some, error => error == null && setImmediate(say))
      say()
    })
    await assert.rejects(opened, /^[^:]*Error: wss:.*: it gave more than 32 informational answers \(102\)/)
  })

  test(`the opening of ${name} ends in time, also where something comes again and again`, async t => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    let connection: TLSSocket | undefined
    const { opened } = await openTo(t, open, socket => {
      connection = socket
      socket.write('HTTP/1.1 101 S')
    })
    const failed = assert.rejects(opened, /it did not answer within 10 s/)
    for (let ms = 0; ms < 10_000; ms += 1) {
      if (ms % 100 === 0) connection?.write('w')
      t.mock.timers.tick(1)
      await nextTurn()
    }
    assert.ok(connection !== undefined, 'it was asked')
    await failed
  })
}

test('a handshake ends when pings come in place of its messages', async t => {
  const flood = (socket: TLSSocket, request: string) => {
    const key = /sec-websocket-key: (\S+)/i.exec(request)?.[1] ?? ''
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    const head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
    socket.write(`${head}Sec-WebSocket-Accept: ${accept}\r\n\r\n`)
    socket.write(Buffer.from('8900'.repeat(100), 'hex'))
  }
  const { opened } = await openTo(t, openWebSocket, flood, ({ transport }) => transport.receive(60_000, text => text))
  await assert.rejects(opened, /more than 16 pings came before a message/)
})
