import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { MAX_IDLE_PIECES, MAX_IDLE_PIECES_OF_SOURCE } from '../../src/api/bodies/body-pieces.js'
import { type CostlySource, onCostlySource } from '../../src/network/sources/costly-source.js'
import { createHandshakeGate } from '../../src/relay/listening/handshakes/handshake-gate.js'
import { eventually } from '../support/eventually.js'
import { createTls, openHttp, WAYS } from '../support/network/open-http.js'
import { head } from '../support/network/raw-client.js'

/** The pieces that cost nothing at the beginning of a body, and what is forgiven while a slow machine reads some. */
const SPARE = 100

const put = head('PUT / HTTP/1.1', 'Host: localhost', 'Transfer-Encoding: chunked')
const pieces = (count: number) => '1\r\na\r\n'.repeat(count)
const end = '0\r\n\r\n'

function eventsOf(server: Server): CostlySource[] {
  const events: CostlySource[] = []
  onCostlySource(server, event => events.push(event))
  return events
}

/** Reads bodies, and counts what comes of each. */
function counting() {
  const counts = new Map<IncomingMessage, { pieces: number; bytes: number }>()
  const listener: RequestListener = (request, response) => {
    const count = { pieces: 0, bytes: 0 }
    counts.set(request, count)
    request.on('error', () => undefined)
    request.on('data', (chunk: Buffer) => {
      count.pieces += 1
      count.bytes += chunk.length
    })
    request.on('end', () => response.end(`[${count.bytes}]`))
  }
  const sum = () => [...counts.values()].reduce((sum, count) => sum + count.pieces, 0)
  return { listener, sum }
}

for (const way of WAYS) {
  test(`over ${way}: a connection that sends its body byte by byte is closed, and nothing more of it is read`, async t => {
    const { listener, sum } = counting()
    const { server, connect } = await openHttp(t, way, listener)
    const events = eventsOf(server)
    const client = await connect()
    client.write(put + pieces(9_000))
    await once(client.resume(), 'close')
    const [event] = events
    assert.equal(events.length, 1)
    assert.deepEqual(event?.isOver, false)
    assert.equal(event?.source, way === 'a Unix socket' ? '' : '127.0.0.1')
    assert.ok(sum() > MAX_IDLE_PIECES && sum() < MAX_IDLE_PIECES + SPARE, `${sum()} were read`)

    // What Node's parser was told for that one is not for the next, which has it now.
    const other = await connect()
    other.write(put + pieces(5) + end)
    const [answer] = (await once(other, 'data')) as [Buffer]
    assert.match(answer.toString(), /\[5\]$/)
  })
}

test('a body that nobody reads is counted as well, after its answer and before', async t => {
  const { server, connect } = await openHttp(t, 'TLS', ({ method }, response) => {
    if (method === 'PUT') response.end()
    else setImmediate(() => response.end())
  })
  const events = eventsOf(server)
  for (const text of [put, put.replace('PUT', 'GET')]) {
    const client = await connect()
    client.resume().write(text)
    client.write(pieces(9_000))
    await once(client, 'close')
  }
  assert.equal(events.length, 2)
})

test('connections of one source share a bound; those that send few pieces, or large ones, and other sources go on', async t => {
  const { listener, sum } = counting()
  const { server, connect } = await openHttp(t, 'TCP', listener)
  const events = eventsOf(server)
  const [large, few, other] = [await connect(), await connect(), await connect('127.0.0.2')]
  large.write(`${put}3000\r\n${'a'.repeat(0x3000)}\r\n`)
  few.write(put + pieces(10))
  other.write(put + pieces(400))
  const many: Socket[] = []
  for (let count = 0; count < 20; count += 1) many.push(await connect())
  for (const client of many) client.resume().write(put + pieces(MAX_IDLE_PIECES / 2))
  await eventually('one source to be over', () => events.some(({ isOver }) => isOver))
  await Promise.all(many.map(client => client.closed || once(client, 'close')))
  assert.deepEqual([...new Set(events.map(({ source }) => source))], ['127.0.0.1'])
  assert.ok(sum() < MAX_IDLE_PIECES_OF_SOURCE + 400 + 20 * 25 + 10 * SPARE, `${sum()} were read`)

  const late = await connect()
  late.resume().write(put + pieces(200))
  await once(late, 'close')
  for (const [client, bytes] of [
    [large, 0x3000],
    [few, 10],
    [other, 400]
  ] as const) {
    client.write(end)
    const [answer] = (await once(client, 'data')) as [Buffer]
    assert.match(answer.toString(), new RegExp(`\\[${bytes}\\]$`))
  }
})

async function openGate(t: TestContext) {
  const tls = await createTls(counting().listener)
  const gate = createHandshakeGate(tls as Parameters<typeof createHandshakeGate>[0])
  gate.listen(0, '127.0.0.1')
  await once(gate, 'listening')
  t.after(() => {
    tls.closeAllConnections()
    gate.close()
  })
  const connectFrom = (localAddress: string): TLSSocket => {
    const { port } = gate.address() as AddressInfo
    const socket = connectTls({ host: '127.0.0.1', port, localAddress, rejectUnauthorized: false } as ConnectionOptions)
    socket.on('error', () => undefined)
    t.after(() => socket.destroy())
    return socket
  }
  return { events: eventsOf(tls), connectFrom }
}

test('a source that was over begins no handshake for a while', async t => {
  const { events, connectFrom } = await openGate(t)
  const clients = Array.from({ length: 10 }, () => connectFrom('127.0.0.1'))
  await Promise.all(clients.map(client => once(client, 'secureConnect')))
  for (const client of clients) client.resume().write(put + pieces(2_000))
  await eventually('the source to be over', () => events.some(({ isOver }) => isOver))
  let isShaken = false
  connectFrom('127.0.0.1').once('secureConnect', () => {
    isShaken = true
  })
  await once(connectFrom('127.0.0.2'), 'secureConnect')
  assert.ok(!isShaken, 'it waits')
})

test('pieces of a line, requests with a few bytes each and whole files are not closed', async t => {
  const { listener } = counting()
  const { server, connect } = await openHttp(t, 'TLS', listener)
  const events = eventsOf(server)
  const client = await connect()
  const closed = once(client.setEncoding('latin1'), 'close')
  const line = `50\r\n${'a'.repeat(0x50)}\r\n`
  const bodies = [line.repeat(5_000), `14\r\n${'a'.repeat(20)}\r\n`.repeat(500)]
  for (let count = 0; count < 600; count += 1) bodies.push(pieces(3))
  let answers = ''
  for (const body of bodies) {
    client.write(put + body + end)
    const [answer] = (await Promise.race([once(client, 'data'), closed])) as [string]
    answers += answer
    if (client.closed) break
  }
  assert.deepEqual(events, [])
  assert.match(answers, /\[400000\][\s\S]*\[10000\][\s\S]*\[3\]/)
})
