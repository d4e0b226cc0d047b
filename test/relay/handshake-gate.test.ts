import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Server, Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { PresentedCertificate } from '../../src/relay/listening/handshakes/presented-certificate.js'
import { eventually } from '../support/eventually.js'
import {
  beginHandshake,
  clientHello,
  connectFrom,
  FOR_EVER_MS,
  isAnswered,
  laterOnesAreServed,
  openGate,
  startTls
} from '../support/parts/handshake-gates.js'

/** One from each of 20 addresses; resolves when so many have been begun. */
async function fillGate(t: TestContext, gate: Server, count: number): Promise<void> {
  const hello = await clientHello(t)
  let answered = 0
  for (let index = 0; index < 20; index++) {
    const socket = await connectFrom(t, gate, `127.0.0.${100 + index}`)
    socket.once('data', () => {
      answered += 1
    })
    socket.write(hello)
  }
  await eventually(`${count} to have begun`, () => answered === count)
}

test('handshakes at once are limited; what takes longer than its turn keeps no other source out', async t => {
  const full = await openGate(t, { turnMs: FOR_EVER_MS })
  await fillGate(t, full, 16)
  const kept = startTls(t, full, '127.0.0.3')
  kept.once('secureConnect', () => assert.fail('more than 16'))
  await once(kept, 'connect')

  const gate = await openGate(t, { turnMs: 20 })
  await fillGate(t, gate, 20)
  await once(startTls(t, gate, '127.0.0.3'), 'secureConnect')
})

test('a source begins one handshake at a time until one has cost little, then a few; others take their turns', async t => {
  const gate = await openGate(t, { turnMs: 0, silentMs: FOR_EVER_MS, restMs: () => 0 })
  const hello = await clientHello(t)
  const answered: Socket[] = []
  const crowd = async (address: string, count: number) => {
    for (let index = 0; index < count; index++) {
      const socket = await connectFrom(t, gate, address)
      socket.once('data', () => answered.push(socket))
      socket.write(hello)
    }
  }
  await crowd('127.0.0.2', 10)
  await laterOnesAreServed(t, gate)
  assert.equal(answered.length, 1)
  answered[0]?.destroy()
  await eventually('the next one', () => answered.length === 2)
  await laterOnesAreServed(t, gate)
  assert.equal(answered.length, 2)

  answered.length = 0
  await isAnswered(startTls(t, gate, '127.0.0.3'))
  await crowd('127.0.0.3', 20)
  await laterOnesAreServed(t, gate)
  assert.equal(answered.length, 16)
})

test('a caller that goes while it waits, and comes again from the same port, leaves nothing behind', async t => {
  const forEver = { turnMs: FOR_EVER_MS, silentMs: FOR_EVER_MS, patienceMs: FOR_EVER_MS }
  // After a costly handshake, a source begins one alone: if one of it were left, none.
  const judgements: PresentedCertificate[] = ['usual', 'costly']
  const gate = await openGate(t, { ...forEver, restMs: () => 0, judge: () => judgements.shift() ?? 'usual' })
  const accepted: Socket[] = []
  gate.on('connection', socket => accepted.push(socket))
  await isAnswered(startTls(t, gate, '127.0.0.2'))
  accepted.length = 0
  await fillGate(t, gate, 16)
  const first = accepted.slice(0, 6) // four wait behind the sixteen
  const gone = await connectFrom(t, gate, '127.0.0.2')
  const { localPort = 0 } = gone
  // With more than the gate takes in before the handshake: it stops reading, and does not see the caller go.
  gone.write(Buffer.concat([await clientHello(t), Buffer.alloc(1024 * 1024)]))
  const raw = accepted.at(-1)
  await eventually('the gate to stop reading', () => (raw?.readableLength ?? 0) > 16 * 1024)
  gone.resetAndDestroy()
  await once(gone, 'close')
  const back = startTls(t, gate, '127.0.0.2', { localPort })
  await eventually(
    'its return, unseen',
    () => raw?.closed === false && accepted.length === 22 && (accepted.at(-1)?.bytesRead ?? 0) > 0
  )
  for (const socket of first) socket.destroy() // so both begin in the same turn of the event loop
  let isServed = false
  const serve = async () => {
    await isAnswered(back)
    await isAnswered(startTls(t, gate, '127.0.0.2'))
    isServed = true
  }
  void serve()
  await eventually('it, and the next one of its source', () => isServed)
})

/** This machine has one IPv6 address of its own: the server is told of another one. */
function comesFrom(gate: Server, address: string): void {
  gate.prependOnceListener('connection', socket => {
    Object.defineProperty(socket, 'remoteAddress', { value: address })
  })
}

test('the addresses of a network of 64 bits are one source, those of another are not', async t => {
  const gate = await openGate(t, { turnMs: 0, silentMs: FOR_EVER_MS, restMs: () => 0 })
  const hello = await clientHello(t)
  const begun: string[] = []
  const beginFrom = async (address: string) => {
    comesFrom(gate, address)
    const socket = await connectFrom(t, gate, '127.0.0.1')
    socket.once('data', () => begun.push(address))
    socket.write(hello)
    return socket
  }
  const first = await beginFrom('2001:db8::1')
  await eventually('the first', () => begun.length === 1)
  await beginFrom('2001:db8::ffff:ffff:ffff:ffff')
  await beginFrom('2001:db8:0:1::1')
  await eventually('the other network', () => begun.length === 2)
  await laterOnesAreServed(t, gate)
  assert.deepEqual(begun, ['2001:db8::1', '2001:db8:0:1::1'])
  first.destroy()
  await eventually('the next of the first network', () => begun.length === 3)
})

test('a handshake that does not go on is given up when others of its source wait for it, and only then', async t => {
  const gate = await openGate(t, { patienceMs: 50, silentMs: FOR_EVER_MS, helloLimitMs: FOR_EVER_MS })
  const alone = await beginHandshake(t, gate, '127.0.0.3')
  const stuck = await beginHandshake(t, gate, '127.0.0.2')
  const closed = once(stuck, 'close')
  await Promise.all([closed, once(startTls(t, gate, '127.0.0.2'), 'secureConnect')])
  assert.equal(alone.closed || alone.readableEnded, false)
})

/** Begins handshakes, goes on with none of them, and begins another one for each that is closed. */
async function stallFrom(t: TestContext, gate: Server, address: string, count: number): Promise<void> {
  const hello = await clientHello(t)
  let isOver = false
  t.after(() => {
    isOver = true
  })
  const stall = async () => {
    const socket = await connectFrom(t, gate, address)
    socket.resume().write(hello)
    socket.once('close', () => {
      if (!isOver) void stall().catch(() => undefined) // the gate is closed
    })
  }
  for (let index = 0; index < count; index += 1) await stall()
}

test('silent handshakes do not lock out those that share their address, whatever came from it before', async t => {
  const judgements: PresentedCertificate[] = ['usual', 'costly']
  const judge = ({ remoteAddress }: Socket) => (remoteAddress === '127.0.0.3' && judgements.shift()) || 'usual'
  // None is given up: those that are silent do not count.
  const gate = await openGate(t, { judge, restMs: () => 0, silentMs: 1, patienceMs: FOR_EVER_MS })
  await isAnswered(startTls(t, gate, '127.0.0.3'))
  await isAnswered(startTls(t, gate, '127.0.0.3'))
  for (const address of ['127.0.0.2', '127.0.0.3']) {
    await stallFrom(t, gate, address, 15)
    await isAnswered(startTls(t, gate, address))
  }
})

test('silent handshakes that are given up change nothing for their source: it does not rest, nor begin anew', async t => {
  const gate = await openGate(t, { restMs: () => FOR_EVER_MS, silentMs: FOR_EVER_MS, patienceMs: 400 })
  await isAnswered(startTls(t, gate, '127.0.0.2'))
  await stallFrom(t, gate, '127.0.0.2', 40)
  await isAnswered(startTls(t, gate, '127.0.0.2'))
})

test('a caller that shuts down its sending side amid the handshake is done, after it it is answered', async t => {
  const gate = await openGate(t, { turnMs: FOR_EVER_MS })
  const hello = await clientHello(t)
  const socket = await connectFrom(t, gate, '127.0.0.1')
  socket.resume().end(hello)
  await once(socket, 'close')

  const whole = startTls(t, gate, '127.0.0.1')
  whole.end('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const [answer] = (await once(whole, 'data')) as [Buffer]
  assert.match(answer.toString(), /^HTTP\/1.1 200 /)
})
