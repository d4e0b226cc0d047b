import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { makeAgentCertificate } from '../../demo/pki.js'
import type { Revocations } from '../../src/keys/certificates/revocations.js'
import type { DialerOptions } from '../../src/links/lower/dialer.js'
import { type LaneKind, RAW_AGAIN_AFTER_MS } from '../../src/links/lower/lane-opener.js'
import { LANE_PROTOCOL } from '../../src/links/wire/protocol.js'
import { eventually } from '../support/eventually.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'
import { makeLowerSide, startUpperSide } from '../support/parts/links.js'
import { makeRevocations } from '../support/parts/revocations.js'

type Answer = (socket: Socket) => void

const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${LANE_PROTOCOL}\r\n\r\n`
const CHALLENGE = { treeline: 'challenge', versions: { oldest: 2, newest: 2 }, nonce: 'AAAA', relay: 'root' }

/** A link, and what was asked for at its upper side since: `raw` or `websocket`, in order. */
async function linked(t: TestContext, options: Partial<DialerOptions> = {}, revocations?: Revocations) {
  const own = await makeAgentCertificate({ nodeId: 'node-1', hostname: 'x' })
  const upper = await startUpperSide(t, new Map([[own.certificateDer.toString('base64'), 'node-1']]))
  const asked: string[] = []
  const lines: string[] = []
  let answer: Answer | undefined
  const [accept] = upper.server.listeners('upgrade')
  upper.server.removeAllListeners('upgrade')
  upper.server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const isRaw = request.headers.upgrade === LANE_PROTOCOL
    asked.push(isRaw ? 'raw' : 'websocket')
    socket.on('error', () => undefined)
    if (isRaw && answer !== undefined) answer(socket)
    else accept?.(request, socket, head)
  })
  const logger = pino({ base: null }, { write: (line: string) => void lines.push(line) })
  const tls = { ca: [upper.certificate.certificatePem], allowPartialTrustChain: true } as object
  const asUpper = async () => ({ url: upper.url, tls, pins: undefined, ...(revocations && { revocations }) })
  const { dialer } = makeLowerSide(t, upper, own, (_, response) => response.end(), {
    logger,
    upper: asUpper,
    ...options
  })
  dialer.start()
  const link = await eventually('the link', () => dialer.status.isConnected && upper.registry.ofNode('node-1'))
  asked.length = 0
  const answerRaw = (how: Answer) => {
    answer = how
  }
  return { upper, dialer, link, asked, lines, answerRaw, open: () => dialer.openLane(link.id, 'lane') }
}

/** How many times raw bytes were asked for; a link that is lost is asked for as well. */
function rawIn(asked: readonly string[]): number {
  return asked.filter(what => what === 'raw').length
}

test('lanes are raw bytes where these pass', async t => {
  const { open, asked, link } = await linked(t)
  await Promise.all([open(), open()])
  assert.deepEqual(asked, ['raw', 'raw'])
  assert.equal(link.lanes, 2)
})

test('lanes are WebSockets where that is set, from the next one on', async t => {
  let kind: LaneKind = 'websocket'
  const { open, asked } = await linked(t, { lane: () => kind })
  await open()
  kind = 'auto'
  await open()
  assert.deepEqual(asked, ['websocket', 'raw'])
})

const REFUSALS: readonly (readonly [name: string, answer: Answer])[] = [
  ['400, as an older relay does', socket => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')],
  ['200', socket => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')],
  ['a redirect', socket => socket.end('HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n')],
  ['the switch to another protocol', socket => socket.end(SWITCHING.replace(LANE_PROTOCOL, 'websocket'))],
  ['what is not HTTP', socket => socket.end('rubbish\r\n\r\n')],
  ['an end', socket => socket.end()],
  ['a break', socket => void socket.destroy()],
  ['a good switch, and an end', socket => socket.end(SWITCHING)],
  ['a good switch, and rubbish', socket => socket.write(`${SWITCHING}rubbish\n`)],
  ['a good switch, and a line without end', socket => socket.write(`${SWITCHING}${'x'.repeat(20_000)}`)],
  [
    'a good switch, and a WebSocket',
    socket => socket.write(Buffer.concat([Buffer.from(SWITCHING), Buffer.from([0x81, 2, 0x7b, 0x7d])])) && socket.end()
  ]
]
for (const [name, answer] of REFUSALS) {
  test(`raw bytes are answered by ${name}: the lane is a WebSocket, and the next ones are asked for at once`, async t => {
    let nowMs = 0
    const { open, asked, answerRaw, lines, link } = await linked(t, { now: () => nowMs })
    answerRaw(answer)
    await open()
    await open()
    assert.deepEqual(asked, ['raw', 'websocket', 'websocket'])
    nowMs += RAW_AGAIN_AFTER_MS
    await open()
    assert.deepEqual(asked.slice(3), ['raw', 'websocket'])
    assert.equal(link.lanes, 3)
    assert.equal(lines.filter(line => line.includes('raw bytes do not pass')).length, 2)
  })
}

test('where WebSockets fail as well, raw bytes are tried again with the next lane', async t => {
  const { upper, open, asked, answerRaw } = await linked(t)
  answerRaw(socket => socket.destroy())
  upper.stop()
  await assert.rejects(open(), /answered 503/)
  await assert.rejects(open(), /answered 503/)
  assert.equal(rawIn(asked), 2)
})

test('a lane that the relay itself refuses is not asked for in another way', async t => {
  const { dialer, asked } = await linked(t)
  await assert.rejects(dialer.openLane('x', 'lane'), /the link of this lane does not stand/)
  assert.deepEqual(asked, ['raw'])
})

test('a handshake that breaks after a good challenge is not begun in another way', async t => {
  const { open, asked, answerRaw } = await linked(t)
  answerRaw(socket => socket.end(`${SWITCHING}${JSON.stringify(CHALLENGE)}\n`))
  await assert.rejects(open(), /closed the connection/)
  assert.deepEqual(asked, ['raw'])
})

test('an upper side that is not the policy server is asked for nothing more', async t => {
  const { upper, asked } = await linked(t)
  const own = await makeAgentCertificate({ nodeId: 'node-1', hostname: 'x' })
  const other = await makeAgentCertificate({ nodeId: 'root', hostname: '127.0.0.1' })
  const { dialer } = makeLowerSide(t, { url: upper.url, certificate: other }, own, (_, response) => response.end())
  await assert.rejects(dialer.openLane('x', 'lane'), /issued by nobody whom this machine trusts/)
  const pinned = makeLowerSide(t, upper, own, (_, response) => response.end(), {
    upper: async () => ({
      url: upper.url,
      tls: { rejectUnauthorized: false },
      pins: new Set([other.fingerprint])
    })
  })
  await assert.rejects(pinned.dialer.openLane('x', 'lane'), /not the one of the policy server/)
  assert.deepEqual(asked, ['raw'])
})

test('a lane ends once the certificate of the upper side is revoked, and no other begins', async t => {
  const { revocations, revoke } = await makeRevocations(join(await temporaryFolder(t), 'revocations'))
  const { upper, open, asked, link } = await linked(t, {}, revocations)
  await open()
  await eventually('the lane', () => link.lanes === 1)
  await revoke('root', upper.certificate.fingerprint)
  await eventually('its end', () => link.lanes === 0)
  await assert.rejects(open(), /was revoked/)
  assert.equal(rawIn(asked), 2)
})

test('a dialer that stops gives up the lane that it waits for', async t => {
  const { dialer, open, asked, answerRaw } = await linked(t)
  answerRaw(() => undefined)
  const opening = assert.rejects(open())
  await eventually('the question', () => asked.length > 0)
  await dialer.stop()
  await opening
  assert.deepEqual(asked, ['raw'])
})

test('it gives up one whose handshake has begun as well', async t => {
  const { dialer, open, asked, answerRaw } = await linked(t)
  answerRaw(socket => socket.write(`${SWITCHING}`))
  const opening = assert.rejects(open())
  await eventually('the question', () => asked.length > 0)
  await dialer.stop()
  await opening
  assert.deepEqual(asked, ['raw'])
})
