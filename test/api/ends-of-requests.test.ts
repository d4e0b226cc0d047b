import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import pino from 'pino'
import { buildApp } from '../../src/api/app.js'
import { API_PREFIX } from '../../src/network/api-prefix.js'
import { eventually } from '../support/eventually.js'
import { makeRelayParts } from '../support/parts/relay-parts.js'

async function startRelay(t: TestContext, metadataTimeoutMs: number) {
  const parts = await makeRelayParts()
  t.after(() => parts.close())
  const { config } = parts.services
  const services = {
    ...parts.services,
    config: () => ({ ...config(), limits: { ...config().limits, metadataTimeoutMs } })
  }
  const app = await buildApp({ services, logger: pino({ level: 'silent' }) })
  const url = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  t.after(() => app.close())
  return { app, open: () => listenTo(t, connect(Number(url.port), '127.0.0.1')) }
}

function listenTo(t: TestContext, socket: Socket) {
  t.after(() => socket.destroy())
  let text = ''
  socket.setEncoding('latin1').on('data', (part: string) => {
    text += part
  })
  return { socket, text: () => text }
}

test('a request whose head is complete only after the stop has begun is told why it is refused', async t => {
  const { app, open } = await startRelay(t, 30_000)
  let accepted: Socket | undefined
  app.server.once('connection', (connection: Socket) => {
    accepted = connection
  })
  const { socket, text } = open()
  socket.write(`GET /uuid HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  await eventually('the first answer', () => text().includes('\r\n\r\n'))
  const half = 'GET /uuid HTTP/1.1\r\nHost: localhost\r\n'
  const readBefore = accepted?.bytesRead ?? 0
  socket.write(half)
  await eventually('half a head', () => accepted?.bytesRead === readBefore + half.length)
  const closed = app.close()
  await eventually('the stop', () => !app.server.listening)
  socket.write('Accept: application/json\r\n\r\n')
  await closed
  await eventually('the second answer', () => text().includes('stopping'))
  assert.match(text(), /HTTP\/1\.1 503 [\s\S]*\r\nretry-after: \d+\r\n/i)
  assert.match(text(), /"code":"STOPPING"|the relay is stopping; try again in a moment/)
})

test('a DELETE whose body does not come is answered, as a POST is', async t => {
  const { open } = await startRelay(t, 50)
  for (const method of ['DELETE', 'POST']) {
    const path = method === 'POST' ? '/remote-run/nodes' : '/v1/relay/links/none'
    const { socket, text } = open()
    socket.write(
      `${method} ${method === 'POST' ? API_PREFIX : ''}${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nx`
    )
    await eventually(`the answer to a ${method}`, () => text().startsWith('HTTP/1.1 408 '))
  }
})
