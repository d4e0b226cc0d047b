import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { type TestContext, test } from 'node:test'
import { makeAgentCertificate } from '../../demo/pki.js'
import { Heartbeat } from '../../src/links/wire/heartbeat.js'
import { MAX_IDLE_FRAMES } from '../../src/links/wire/idle-budget.js'
import { eventually } from '../support/eventually.js'
import { greet, openRawLink } from '../support/hostile/hostile-link.js'
import { startUpperSide } from '../support/parts/links.js'

const EVERY_MS = 1_000

class FakeTransport extends EventEmitter {
  isOpen = true
  asked = 0

  onSignOfLife(heard: () => void): void {
    this.on('ping', heard)
    this.on('pong', heard)
  }
}

/** Pings of which the first look comes at once, and time passes by `tick`. */
function watch(t: TestContext, asksAlways: boolean) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
  t.mock.method(Math, 'random', () => 0)
  const transport = new FakeTransport()
  const stream = { readBytes: 0 }
  const told = { deaths: 0 }
  const heartbeat = new Heartbeat(
    { transport, stream, everyMs: EVERY_MS, asksAlways },
    {
      ask: () => {
        transport.asked += 1
      },
      fellSilent: () => {
        told.deaths += 1
      }
    }
  )
  t.mock.timers.tick(1)
  const tick = (times = 1) => {
    for (let time = 0; time < times; time += 1) t.mock.timers.tick(EVERY_MS)
  }
  return { heartbeat, transport, stream, told, tick }
}

test('whoever gives no sign of life after it was asked is dead', t => {
  const { transport, told, tick } = watch(t, false)
  assert.deepEqual([transport.asked, told.deaths], [1, 0])
  transport.emit('pong')
  tick()
  assert.equal(transport.asked, 1)
  tick()
  assert.deepEqual([transport.asked, told.deaths], [2, 0], 'it was silent for so long: it is asked')
  tick()
  assert.deepEqual([transport.asked, told.deaths], [2, 1])
})

test('bytes, pings and pongs alike are signs of life', t => {
  for (const sign of ['bytes', 'ping', 'pong']) {
    const { transport, stream, told, tick } = watch(t, true)
    for (let time = 0; time < 5; time += 1) {
      if (sign === 'bytes') stream.readBytes += 1
      else transport.emit(sign)
      tick()
    }
    assert.equal(told.deaths, 0, sign)
    tick()
    assert.equal(told.deaths, 1, sign)
    t.mock.reset()
    t.mock.timers.reset()
  }
})

test('one side asks each time, the other now and then where it hears of the first', t => {
  for (const [asksAlways, asked] of [
    [true, 41],
    [false, 3]
  ] as const) {
    const { transport, told, tick } = watch(t, asksAlways)
    for (let time = 0; time < 40; time += 1) {
      transport.emit('ping')
      tick()
    }
    assert.deepEqual([transport.asked, told.deaths], [asked, 0])
    t.mock.reset()
    t.mock.timers.reset()
  }
})

test('it ends with the connection, or when it is stopped', t => {
  const { heartbeat, transport, told, tick } = watch(t, true)
  heartbeat.stop()
  tick(3)
  assert.deepEqual([transport.asked, told.deaths], [1, 0])
  t.mock.reset()
  t.mock.timers.reset()
  const other = watch(t, true)
  other.transport.isOpen = false
  other.tick(3)
  assert.deepEqual([other.transport.asked, other.told.deaths], [1, 0])
})

test('a flood of pings of the WebSocket ends the link, also where each answer is read', async t => {
  const certificate = await makeAgentCertificate({ nodeId: 'node-1', hostname: 'node-1.example.com' })
  const upper = await startUpperSide(t, new Map([[certificate.certificateDer.toString('base64'), 'node-1']]))
  const raw = await openRawLink(t, upper.url.replace(/^ws/, 'http'))
  await greet(raw, { id: 'node-1', certificate } as Parameters<typeof greet>[1])
  const link = await eventually('the link', () => upper.registry.ofNode('node-1'))
  for (let sent = 0; sent <= 2 * MAX_IDLE_FRAMES && raw.socket.readyState === raw.socket.OPEN; sent += 1) {
    await Promise.race([new Promise(resolve => raw.socket.ping('', true, resolve)), raw.closed])
  }
  raw.socket.terminate()
  assert.match(await link.closed, /flooded/)
})
