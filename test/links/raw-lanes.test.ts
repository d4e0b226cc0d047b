import assert from 'node:assert/strict'
import { request } from 'node:https'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { makeAgentCertificate } from '../../demo/pki.js'
import { LANE_PROTOCOL, REGISTER_PATH } from '../../src/links/wire/protocol.js'
import { MAX_HANDSHAKE_LINE_BYTES, MAX_HANDSHAKE_LINE_PIECES } from '../../src/links/wire/raw/await-line.js'
import { eventually } from '../support/eventually.js'
import { type HostileLane, openHostileLane } from '../support/hostile/hostile-lane.js'
import { greet } from '../support/hostile/hostile-link.js'
import { makeLowerSide, startUpperSide } from '../support/parts/links.js'

/** An upper side with a link of node-1, and what a test needs to open lanes of it by hand. */
async function linked(t: TestContext) {
  const certificate = await makeAgentCertificate({ nodeId: 'node-1', hostname: 'x' })
  const lines: string[] = []
  const logger = pino({ base: null }, { write: (line: string) => void lines.push(line) })
  const upper = await startUpperSide(t, new Map([[certificate.certificateDer.toString('base64'), 'node-1']]), {
    logger
  })
  const lower = makeLowerSide(t, upper, certificate, (_, response) => response.end())
  lower.dialer.start()
  const link = await eventually('the link', () => upper.registry.ofNode('node-1'))
  const member = { id: 'node-1', certificate } as unknown as Parameters<typeof greet>[1]
  const open = () => openHostileLane(t, upper.url)
  const openGood = async () => {
    const lane = await open()
    return { lane, said: await greet(lane, member, { purpose: 'lane', link: link.id }) }
  }
  return { upper, lines, link, member, open, openGood }
}

test('raw bytes become a lane, over which a request goes', async t => {
  const { link, openGood } = await linked(t)
  const { lane, said } = await openGood()
  assert.equal(said.treeline, 'welcome')
  assert.equal(link.lanes, 1)
  const pool = await link.bulk()
  const answer = pool.request({ method: 'GET', path: '/x' })
  assert.match(await lane.next(), /^GET \/x HTTP\/1\.1/)
  lane.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  const { body } = await answer
  assert.equal(await body.text(), 'ok')
  assert.ok(link.bytes.received > 40 && link.bytes.sent > 10)
})

test('raw bytes become no link', async t => {
  const { open, member, lines } = await linked(t)
  const lane = await open()
  assert.deepEqual(await greet(lane, member), { treeline: 'refused', reason: 'a link has to be a WebSocket' })
  await lane.closed
  assert.ok(lines.some(line => line.includes('a link has to be a WebSocket')))
})

test('whoever says who it is in no good line is refused, told why, and cut off', async t => {
  const { open, openGood, lines } = await linked(t)
  const bad: readonly (readonly [write: (lane: HostileLane) => void, reason: RegExp])[] = [
    [lane => lane.socket.write('GET / HTTP/1.1\r\n\r\n'), /no message of a link/],
    [lane => lane.socket.write('{}\n'), /an identity was expected/],
    [lane => lane.socket.write('\n\n\n'), /no message of a link/],
    [lane => lane.socket.write(Buffer.alloc(MAX_HANDSHAKE_LINE_BYTES + 1, 97)), /more than 16384 bytes/]
  ]
  for (const [write, reason] of bad) {
    const lane = await open()
    assert.match(await lane.next(), /"challenge"/)
    write(lane)
    const said = JSON.parse(await lane.next())
    assert.equal(said.treeline, 'refused')
    assert.match(said.reason, reason)
    await lane.closed
  }
  assert.equal(lines.filter(line => line.includes('"link refused"')).length, bad.length)
  assert.equal((await openGood()).said.treeline, 'welcome')
})

test('a byte at a time is cut off soon', async t => {
  const { open, openGood } = await linked(t)
  const lane = await open()
  await lane.next()
  let sent = 0
  while (!lane.socket.destroyed && sent <= 2 * MAX_HANDSHAKE_LINE_PIECES) {
    await new Promise(resolve => lane.socket.write('{', resolve))
    await new Promise(setImmediate)
    sent += 1
  }
  await lane.closed
  assert.equal((await openGood()).said.treeline, 'welcome')
})

test('who breaks off at any step leaves nothing behind', async t => {
  const { open, openGood, link, upper } = await linked(t)
  const first = await open()
  first.socket.destroy()
  const second = await open()
  await second.next()
  second.socket.destroy()
  const third = await open()
  await third.next()
  third.socket.write('{"treeline":"iden')
  third.socket.destroy()
  const { lane } = await openGood()
  lane.socket.destroy()
  await eventually('the end of the lane', () => link.lanes === 0)
  const connections = () =>
    new Promise<number>((resolve, reject) => {
      upper.server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)))
    })
  await eventually('the end of all but the link', async () => (await connections()) === 1)
  assert.equal((await openGood()).said.treeline, 'welcome')
})

test('any method but GET, and any other protocol, is refused', async t => {
  const { upper } = await linked(t)
  const ask = (method: string, upgrade: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      request(`${upper.url.replace('wss', 'https')}${REGISTER_PATH}`, {
        method,
        rejectUnauthorized: false,
        agent: false,
        headers: { connection: 'Upgrade', upgrade }
      })
        .on('response', response => resolve(response.resume().statusCode))
        .on('error', reject)
        .end()
    })
  assert.equal(await ask('POST', LANE_PROTOCOL), 405)
  assert.equal(await ask('GET', 'treeline-lane/2'), 400)
  assert.equal(await ask('GET', `${LANE_PROTOCOL}, websocket`), 400)
})

test('a relay that stops tells those whose handshake is under way', async t => {
  const { open, upper } = await linked(t)
  const lane = await open()
  await lane.next()
  upper.stop()
  assert.match(await lane.next(), /"refused".*the relay is stopping/)
  await lane.closed
})
