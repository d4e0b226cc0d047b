import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { usualRestMs } from '../../src/relay/listening/handshakes/handshake-gate.js'
import {
  judgeCertificate,
  type PresentedCertificate
} from '../../src/relay/listening/handshakes/presented-certificate.js'
import { eventually } from '../support/eventually.js'
import { makeChain } from '../support/network/openssl-certificate.js'
import {
  beginHandshake,
  connectFrom,
  FOR_EVER_MS,
  isAnswered,
  laterOnesAreServed,
  openGate,
  startTls
} from '../support/parts/handshake-gates.js'
import { temporaryFolder } from '../support/parts/neighbours.js'

test('a source with a costly handshake is a usual one again after some that cost little', async t => {
  const judgements: PresentedCertificate[] = ['costly']
  const judge = () => judgements.shift() ?? 'usual'
  const never = { silentMs: FOR_EVER_MS, patienceMs: FOR_EVER_MS }
  const gate = await openGate(t, { judge, restMs: () => 0, ...never })
  for (let count = 0; count < 17; count += 1) await isAnswered(startTls(t, gate, '127.0.0.2'))
  for (let count = 0; count < 2; count += 1) await beginHandshake(t, gate, '127.0.0.2')
})

test('a costly handshake, also one that fails, ends the others of its source before they cost anything', async t => {
  const judgements = ['usual', 'costly'] as PresentedCertificate[]
  const judge = ({ remoteAddress }: Socket) => (remoteAddress === '127.0.0.2' && judgements.shift()) || 'usual'
  const rests: number[] = []
  const restMs = (_busyMs: number, sentBytes: number) => rests.push(sentBytes) && 0
  const gate = await openGate(t, { judge, restMs, helloLimitMs: FOR_EVER_MS })
  const underWay = async (address: string) => {
    await isAnswered(startTls(t, gate, address)) // from then on several are
    const socket = await beginHandshake(t, gate, address)
    return { closed: once(socket, 'close') }
  }
  const besideCostly = await underWay('127.0.0.2')
  startTls(t, gate, '127.0.0.2')
  await besideCostly.closed

  const besideFailed = await underWay('127.0.0.3')
  const failed = await beginHandshake(t, gate, '127.0.0.3')
  rests.length = 0
  failed.write(Buffer.concat([Buffer.of(23, 3, 3, 0x20, 0), Buffer.alloc(0x2000)]))
  await besideFailed.closed
  assert.equal(rests[0], 5 + 0x2000)
  assert.equal(usualRestMs(1_000, 0x2000), 4_000)
  assert.equal(usualRestMs(9_000, 0x2000), 10_000)
  assert.equal(usualRestMs(1_000, 30), 100, 'it cannot have been costly')
})

test('after a handshake that failed or was costly its source rests, also where a neighbour came from; others do not', async t => {
  const judgements = new Map<string, PresentedCertificate[]>([
    ['127.0.0.4', ['costly']],
    ['127.0.0.5', ['usual', 'usual', 'costly']]
  ])
  const judge = ({ remoteAddress = '' }: Socket) => judgements.get(remoteAddress)?.shift() ?? 'usual'
  const gate = await openGate(t, { judge, restMs: () => FOR_EVER_MS })
  const isServed = async (address: string) => {
    const socket = startTls(t, gate, address)
    let isSecure = false
    socket.once('secureConnect', () => {
      isSecure = true
    })
    await once(socket, 'connect')
    await laterOnesAreServed(t, gate)
    return isSecure
  }
  await isAnswered(startTls(t, gate, '127.0.0.2'))
  assert.equal(await isServed('127.0.0.2'), true, 'a usual one changes nothing')

  const failed = await connectFrom(t, gate, '127.0.0.3')
  failed.resume().write('GET / HTTP/1.1\r\n\r\n')
  await once(failed, 'close')
  assert.equal(await isServed('127.0.0.3'), false)

  await isAnswered(startTls(t, gate, '127.0.0.4'))
  assert.equal(await isServed('127.0.0.4'), false)

  await isAnswered(startTls(t, gate, '127.0.0.5'))
  assert.equal(await isServed('127.0.0.5'), true, 'nor does that of a neighbour')
  await isAnswered(startTls(t, gate, '127.0.0.5'))
  assert.equal(await isServed('127.0.0.5'), false)
})

test('a source rests for what its ClientHellos cost when their handshakes fail', async t => {
  const costs: number[] = []
  const gate = await openGate(t, { restMs: () => 0, helloRestMs: costMs => costs.push(costMs) && FOR_EVER_MS })
  await isAnswered(startTls(t, gate, '127.0.0.2'))
  assert.deepEqual(costs, [])
  const replayed = await beginHandshake(t, gate, '127.0.0.2')
  replayed.resetAndDestroy()
  await eventually('its end', () => costs.length === 1)
  assert.ok((costs[0] ?? 0) > 0)
  const next = startTls(t, gate, '127.0.0.2')
  next.once('secureConnect', () => assert.fail('its source does not rest'))
  await once(next, 'connect')
  await laterOnesAreServed(t, gate)
})

/** The judgements of handshakes with each of these chains, each from an address of its own, and what is costly in them. */
async function judgementsOf(t: TestContext, chains: readonly { cert: string; key: string }[]) {
  const judged: PresentedCertificate[] = []
  const costly: string[] = []
  const judge = (socket: TLSSocket) => {
    const found = judgeCertificate(socket, why => costly.push(why))
    judged.push(found)
    return found
  }
  const gate = await openGate(t, { judge, restMs: () => FOR_EVER_MS }, { requestCert: true, rejectUnauthorized: false })
  for (const [index, own] of chains.entries()) await isAnswered(startTls(t, gate, `127.0.0.${10 + index}`, own))
  return { gate, judged, costly }
}

test('a long chain of certificates is costly, a short one is not', async t => {
  const { cert, key } = await makeChain(await temporaryFolder(t), 12)
  const [own, issuer] = cert.split(/(?=-----BEGIN)/)
  const { judged, costly } = await judgementsOf(t, [
    { cert: `${own}${issuer}`, key },
    { cert, key }
  ])
  assert.deepEqual(judged, ['usual', 'costly'])
  assert.match(costly.join(), /^12 certificates of \d+ bytes/)
})

test('a short chain with many constraints on names is costly: its source begins no other handshake', async t => {
  const constraints = Array.from({ length: 400 }, (_, index) => `excluded;DNS:host-${index}.example`)
  const { cert, key } = await makeChain(await temporaryFolder(t), 3, `nameConstraints = ${constraints.join(', ')}`)
  const { gate, judged, costly } = await judgementsOf(t, [{ cert, key }])
  assert.deepEqual(judged, ['costly'])
  assert.match(costly.join(), /^3 certificates of \d+ bytes/)
  const next = startTls(t, gate, '127.0.0.10', { cert, key })
  next.once('secureConnect', () => assert.fail('its source does not rest'))
  await once(next, 'connect')
  await laterOnesAreServed(t, gate)
})
