import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import type { ClientHttp2Session } from 'node:http2'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type WebSocket, WebSocketServer } from 'ws'
import { makeAgentCertificate } from '../../demo/pki.js'
import { MAX_REQUESTS_OF_LANE } from '../../src/links/lower/lane-requests.js'
import { LowerLanes } from '../../src/links/lower/lower-lanes.js'
import { openSession } from '../../src/links/upper/link-request.js'
import { makeChallenge } from '../../src/links/wire/challenge.js'
import { LANE_REQUEST_PATH, LANES_PER_SECOND, MAX_LANES } from '../../src/links/wire/protocol.js'
import { WebSocketStream } from '../../src/links/wire/web-socket-stream.js'
import { neighbourPieces, PieceBudget } from '../../src/network/sources/piece-budget.js'
import { LINK_VERSIONS } from '../../src/values/protocol-version.js'
import { eventually } from '../support/eventually.js'
import { makeLowerSide } from '../support/parts/links.js'

/** An upper side without any bound, to which a lower side holds a link. */
async function linkToHostileUpper(t: TestContext, routing: RequestListener, pieces = neighbourPieces()) {
  const own = await makeAgentCertificate({ nodeId: 'node-1', hostname: 'x' })
  const certificate = await makeAgentCertificate({ nodeId: 'root', hostname: '127.0.0.1' })
  const server = createServer({ cert: certificate.certificatePem, key: certificate.privateKeyPem })
  const links: ClientHttp2Session[] = []
  const lanes: WebSocket[] = []
  new WebSocketServer({ server }).on('connection', socket => {
    socket.on('error', () => undefined)
    t.after(() => socket.terminate())
    socket.send(JSON.stringify(makeChallenge('root', LINK_VERSIONS)))
    socket.once('message', (data: Buffer) => {
      const isLane = JSON.parse(data.toString()).purpose === 'lane'
      socket.send(JSON.stringify({ treeline: 'welcome', link: 'x', pingMs: 60_000 }))
      if (isLane) lanes.push(socket)
      else links.push(openSession(new WebSocketStream(socket, { framesOf: 'client' })).on('error', () => undefined))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const url = `wss://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { dialer } = makeLowerSide(
    t,
    { url, certificate },
    own,
    routing,
    { backoff: { firstMs: 60_000, maxMs: 60_000 } },
    pieces
  )
  dialer.start()
  const link = await eventually('the link', () => dialer.status.isConnected && links[0])
  const standing = () => lanes.filter(lane => lane.readyState === lane.OPEN)
  return { link, lanes, standing }
}

/** Asks for lanes, all at once. @returns the answers so far */
function askForLanes(link: ClientHttp2Session, count: number): readonly unknown[] {
  const answers: unknown[] = []
  for (let asked = 0; asked < count; asked += 1) {
    const request = link.request({ ':method': 'POST', ':path': LANE_REQUEST_PATH }, { endStream: true })
    request.on('error', () => undefined)
    request.once('response', headers => answers.push(headers[':status']))
    request.resume()
  }
  return answers
}

test('an upper side gets as many lanes as the protocol allows, however many it asks for', async t => {
  const { link, lanes, standing } = await linkToHostileUpper(t, (_, response) => response.end())
  const refused = 8
  const answers = askForLanes(link, MAX_LANES + MAX_LANES + refused) // as many wait as stand
  const given = (status: number) => answers.filter(answer => answer === status).length
  await eventually('the answers', () => given(204) >= MAX_LANES && given(503) >= refused) // the waiting ones come to know later
  assert.deepEqual([given(204), given(204) + given(503)], [MAX_LANES, answers.length])
  assert.deepEqual([lanes.length, standing().length], [MAX_LANES, MAX_LANES])

  askForLanes(link, 1) // those that still wait may have waited too long
  lanes[0]?.close()
  await eventually('another lane in its place', () => lanes.length === MAX_LANES + 1)
  assert.equal(standing().length, MAX_LANES)

  link.destroy()
  await eventually('the end of the lanes, with their link', () => standing().length === 0)
  assert.equal(lanes.length, MAX_LANES + 1)
})

test('lanes that end at once are opened anew at a pace', async () => {
  const waits: number[] = []
  const lanes = new LowerLanes({
    openLane: () => Promise.reject(new Error('closed at once')),
    now: () => 0,
    wait: async ms => void waits.push(ms)
  })
  lanes.linkBegan('x')
  for (let opened = 0; opened < MAX_LANES + 3; opened += 1) await assert.rejects(lanes.open('x'), /closed at once/)
  const stepMs = 1_000 / LANES_PER_SECOND
  assert.deepEqual(waits, [stepMs, 2 * stepMs, 3 * stepMs])
})

test('no lane is opened for a link that has ended', async () => {
  let opened = 0
  const lanes = new LowerLanes({
    openLane: async () => {
      opened += 1
    }
  })
  lanes.linkBegan('x')
  lanes.linkEnded('x')
  await assert.rejects(lanes.open('x'), /has ended/)
  assert.equal(opened, 0)
})

for (const isRead of [true, false]) {
  test(`chunks of one byte over a lane count, in a body that is ${isRead ? 'read' : 'not read'}`, async t => {
    const pieces = new PieceBudget({ ahead: 4_096, forgivenPerSecond: 5_000 }, () => 0)
    const { link, lanes } = await linkToHostileUpper(
      t,
      (request, response) => {
        if (isRead) request.resume()
        response.end()
      },
      pieces
    )
    askForLanes(link, 1)
    const lane = await eventually('a lane', () => lanes[0])
    const chunks = '1\r\nx\r\n'.repeat(10_000)
    lane.send(Buffer.from(`PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`))
    await eventually('the debt', () => pieces.restMs > 0)
  })
}

test('a lane ends over which many requests come ahead of answers, those too that Node would answer by itself', async t => {
  let begun = 0
  const { link, lanes } = await linkToHostileUpper(t, () => {
    begun += 1
  })
  askForLanes(link, 3)
  await eventually('the lanes', () => lanes.length === 3)
  for (const [at, lines] of ['Host: x', 'X: y', 'Host: x\r\nExpect: z'].entries()) {
    const lane = lanes[at]
    assert.ok(lane !== undefined)
    lane.send(Buffer.from(`GET / HTTP/1.1\r\n${lines}\r\n\r\n`.repeat(1_000)))
    await once(lane, 'close')
    assert.equal(begun, (at + 1) * MAX_REQUESTS_OF_LANE)
  }
})
