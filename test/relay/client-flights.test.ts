import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Server, Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { restAfterLarge, restAfterNew } from '../../src/relay/listening/handshakes/client-flights.js'
import { eventually } from '../support/eventually.js'
import { makeChain } from '../support/network/openssl-certificate.js'
import {
  beginHandshake,
  FOR_EVER_MS,
  isAnswered,
  laterOnesAreServed,
  openGate,
  startTls,
  startTlsThrough
} from '../support/parts/handshake-gates.js'
import { temporaryFolder } from '../support/parts/neighbours.js'

/** A gate that asks for certificates, and a chain that is longer than usual. */
async function openWithChain(
  t: TestContext,
  largeRestMs?: (costMs: number) => number,
  newRestMs?: (costMs: number) => number
) {
  const options = {
    ...(largeRestMs === undefined ? {} : { largeRestMs }),
    ...(newRestMs === undefined ? {} : { newRestMs }),
    turnMs: FOR_EVER_MS,
    patienceMs: FOR_EVER_MS
  }
  const gate = await openGate(t, options, { requestCert: true, rejectUnauthorized: false })
  return { gate, chain: await makeChain(await temporaryFolder(t), 12) }
}

/** Fails the test when the server answers. */
async function isToWait(t: TestContext, gate: Server, socket: TLSSocket): Promise<void> {
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  socket.once('data', () => assert.fail('its certificates were verified'))
  await once(socket, 'secureConnect')
  await laterOnesAreServed(t, gate)
}

test('long chains of certificates are verified one at a time, whatever their sources, with a pause; usual callers do not wait', async t => {
  const { gate, chain } = await openWithChain(t, () => FOR_EVER_MS)
  await isAnswered(startTls(t, gate, '127.0.0.10', chain))
  for (const address of ['127.0.0.11', '127.0.0.12']) await isToWait(t, gate, startTls(t, gate, address, chain))
  const usual = await makeChain(await temporaryFolder(t), 2)
  await isAnswered(startTls(t, gate, '127.0.0.13', usual))
  assert.equal(restAfterLarge(350), 1_400)
})

test('usual certificates of new sources wait after one that was costly; usual sources, and callers without one, do not', async t => {
  const costs: number[] = []
  const newRestMs = (costMs: number) => (costs.push(costMs) > 0 ? FOR_EVER_MS : 0)
  const { gate } = await openWithChain(t, undefined, newRestMs)
  const usual = await makeChain(await temporaryFolder(t), 2)
  await isAnswered(startTls(t, gate, '127.0.0.10'))
  await isAnswered(startTls(t, gate, '127.0.0.10', usual))
  assert.deepEqual(costs, [], 'its source is a usual one')
  await isAnswered(startTls(t, gate, '127.0.0.11', usual))
  assert.equal(costs.length, 1)
  for (const address of ['127.0.0.12', '127.0.0.13']) await isToWait(t, gate, startTls(t, gate, address, usual))
  await isAnswered(startTls(t, gate, '127.0.0.10', usual))
  await isAnswered(startTls(t, gate, '127.0.0.14'))
  assert.deepEqual([restAfterNew(4), restAfterNew(8)], [0, 8])
})

test('many new sources that come at once with usual certificates are all verified in the end', async t => {
  const { gate } = await openWithChain(t, undefined, () => 1)
  const usual = await makeChain(await temporaryFolder(t), 2)
  const sockets = Array.from({ length: 20 }, (_, index) => startTls(t, gate, `127.0.0.${20 + index}`, usual))
  await Promise.all(sockets.map(isAnswered))
})

test('long chains of many sources that come at once are all verified in the end', async t => {
  const { gate, chain } = await openWithChain(t)
  const sockets = Array.from({ length: 8 }, (_, index) => startTls(t, gate, `127.0.0.${20 + index}`, chain))
  await Promise.all(sockets.map(isAnswered))
})

test('a chain is paid for though its caller holds back the end of its handshake', async t => {
  const costs: number[] = []
  const { gate, chain } = await openWithChain(t, costMs => costs.push(costMs) && FOR_EVER_MS)
  let last: Buffer = Buffer.alloc(0)
  const allButLast = async (bytes: Buffer, raw: Socket) => {
    raw.write(Buffer.concat([last, bytes.subarray(0, -1)]))
    last = bytes.subarray(-1)
  }
  await startTlsThrough(t, gate, '127.0.0.10', chain, allButLast)
  await eventually('it to be read', () => costs.length === 1)
  await isToWait(t, gate, startTls(t, gate, '127.0.0.11', chain))
})

test('a caller whose answer comes in small pieces is served', async t => {
  const { gate, chain } = await openWithChain(t)
  const inPieces = async (bytes: Buffer, raw: Socket) => {
    for (let at = 0; at < bytes.length; at += 100) {
      raw.write(bytes.subarray(at, at + 100))
      await nextTurn()
    }
  }
  await isAnswered(await startTlsThrough(t, gate, '127.0.0.10', chain, inPieces))
})

test('a caller that leaves amid its handshake is closed at this end, also when it resets the connection', async t => {
  const { gate } = await openWithChain(t)
  const accepted: Socket[] = []
  gate.on('connection', socket => accepted.push(socket))
  const leaving = await beginHandshake(t, gate, '127.0.0.10')
  leaving.destroy()
  const resetting = await beginHandshake(t, gate, '127.0.0.11')
  resetting.resetAndDestroy()
  await eventually('both to be closed', () => accepted.length === 2 && accepted.every(({ closed }) => closed))
})
