import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type WebSocket, WebSocketServer } from 'ws'
import { type CertificateMaterial, makeAgentCertificate } from '../../demo/pki.js'
import { LINK_BACKOFF } from '../../src/links/lower/link-backoff.js'
import { makeChallenge } from '../../src/links/wire/challenge.js'
import { LINK_VERSIONS } from '../../src/values/protocol-version.js'
import { eventually } from '../support/eventually.js'
import { FRAME, frame, many } from '../support/hostile/hostile-link.js'
import { makeLowerSide, startUpperSide } from '../support/parts/links.js'
import { startTree } from '../support/relays/relay-tree.js'

const serve = () => undefined

async function knownNode() {
  const own = await makeAgentCertificate({ nodeId: 'node-1', hostname: 'x' })
  return { own, known: new Map([[own.certificateDer.toString('base64'), 'node-1']]) }
}

/** The waits of a dialer that gets no link, each with the same random number; the dialer stops after them. */
async function waitsOf(t: TestContext, random: number, count: number): Promise<number[]> {
  const { own } = await knownNode()
  const upper = await startUpperSide(t, new Map())
  const waits: number[] = []
  await new Promise<void>(resolve => {
    const wait = async (ms: number) => {
      waits.push(ms)
      if (waits.length < count) return
      resolve()
      await new Promise(() => undefined)
    }
    const url = 'wss://127.0.0.1:1'
    const { dialer } = makeLowerSide(t, { ...upper, url }, own, serve, {
      random: () => random,
      wait,
      backoff: LINK_BACKOFF
    })
    t.mock.method(dialer, 'stop', async () => undefined) // it waits for ever
    dialer.start()
  })
  return waits
}

test('the waits grow from half a second to half a minute, and each is shortened at random by up to half', async t => {
  const full = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]
  assert.deepEqual(await waitsOf(t, 1, 8), full)
  assert.deepEqual(
    await waitsOf(t, 0, 8),
    full.map(ms => ms / 2)
  )
})

test('after a link that stood for long the waits begin anew, and after a short one they go on', async t => {
  const { own, known } = await knownNode()
  const upper = await startUpperSide(t, known)
  let nowMs = 0
  const waits: number[] = []
  const wait = async (ms: number) => {
    waits.push(ms)
  }
  const { dialer } = makeLowerSide(t, upper, own, serve, {
    now: () => nowMs,
    random: () => 1,
    wait,
    backoff: { firstMs: 10, maxMs: 1_000 }
  })
  dialer.start()
  for (const stoodMs of [1_000, 59_000, 61_000, 1_000]) {
    const link = await eventually('the link', () => dialer.status.isConnected && upper.registry.ofNode('node-1'))
    nowMs += stoodMs
    const lost = new Promise<void>(resolve => {
      const stop = dialer.onChange(({ isConnected }) => {
        if (isConnected) return
        stop()
        resolve()
      })
    })
    upper.cut()
    await Promise.all([link.closed, lost])
  }
  await eventually('the link', () => dialer.status.isConnected)
  assert.deepEqual(waits, [10, 20, 10, 20])
})

interface FalseUpper {
  readonly url: string
  readonly certificate: CertificateMaterial
  readonly sockets: WebSocket[]
}

/** Has the place of a policy server, and does what `speak` does. */
async function falseUpper(t: TestContext, speak: (socket: WebSocket) => void): Promise<FalseUpper> {
  const certificate = await makeAgentCertificate({ nodeId: 'root', hostname: '127.0.0.1' })
  const server = createServer({ cert: certificate.certificatePem, key: certificate.privateKeyPem })
  const sockets: WebSocket[] = []
  new WebSocketServer({ server }).on('connection', socket => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    speak(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.terminate()
    server.close()
    server.closeAllConnections()
  })
  return { url: `wss://127.0.0.1:${(server.address() as AddressInfo).port}`, certificate, sockets }
}

const say = (value: object) => (socket: WebSocket) => socket.send(JSON.stringify(value))
const challenge = makeChallenge('root', LINK_VERSIONS)
const welcome = { treeline: 'welcome', link: 'x', pingMs: 60_000 }
const afterIdentity = (then: (socket: WebSocket) => void) => (socket: WebSocket) => {
  say(challenge)(socket)
  socket.once('message', () => then(socket))
}

const FALSE_UPPERS: readonly (readonly [name: string, speak: (socket: WebSocket) => void, reason: RegExp])[] = [
  ['rubbish', socket => socket.send('rubbish'), /no message of a link/],
  ['bytes', socket => socket.send(Buffer.from('{}')), /bytes came where a message was expected/],
  ['too much', socket => socket.send(Buffer.alloc(2_000_000)), /./],
  ['no versions', say({ ...challenge, versions: 1 }), /does not say which versions/],
  ['versions of the future', say({ ...challenge, versions: { oldest: 7, newest: 9 } }), /speaks versions 7 to 9/],
  ['a refusal', say({ treeline: 'refused', reason: 'not\u0007 you' }), /^not you$/],
  ['a refusal after the identity', afterIdentity(say({ treeline: 'refused', reason: 'no' })), /^no$/],
  [
    'a welcome that asks for pings without end',
    afterIdentity(say({ ...welcome, pingMs: 1e12 })),
    /a welcome was expected/
  ],
  [
    'nothing that HTTP/2 is',
    afterIdentity(socket => {
      say(welcome)(socket)
      socket.send(Buffer.from('no HTTP/2 at all, but long enough to be seen'))
    }),
    /./
  ],
  [
    'a flood of pings',
    afterIdentity(socket => {
      say(welcome)(socket)
      socket.send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'))
      socket.send(Buffer.concat([frame(FRAME.settings, 0, 0), many(2_000, frame(FRAME.ping, 0, 0, Buffer.alloc(8)))]))
    }),
    /flooded the link with frames that carry nothing/
  ],
  [
    'a flood of window updates',
    afterIdentity(socket => {
      say(welcome)(socket)
      socket.send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'))
      const update = frame(FRAME.windowUpdate, 0, 0, Buffer.from([0, 0, 0, 1]))
      socket.send(Buffer.concat([frame(FRAME.settings, 0, 0), many(2_000, update)]))
    }),
    /flooded the link with frames that carry nothing/
  ],
  [
    'a flood of empty messages',
    afterIdentity(socket => {
      say(welcome)(socket)
      for (let sent = 0; sent < 2_000; sent += 1) socket.send(Buffer.alloc(0))
    }),
    /flooded the link with frames that carry nothing/
  ]
]

for (const [name, speak, reason] of FALSE_UPPERS) {
  test(`an upper side that says ${name}: a reason, and no connection is left`, async t => {
    const { own } = await knownNode()
    const upper = await falseUpper(t, speak)
    const lower = makeLowerSide(t, upper, own, serve, { wait: () => new Promise(() => undefined) })
    t.mock.method(lower.dialer, 'stop', async () => undefined)
    lower.dialer.start()
    const said = await eventually('a reason', () => {
      const now = lower.dialer.status
      return !now.isConnected && now.reason !== 'not tried yet' && now.reason
    })
    assert.match(said, reason)
    await eventually('the end of the connection', () =>
      upper.sockets.every(socket => socket.readyState === socket.CLOSED)
    )
  })
}

test('a process that is frozen is noticed on the other side of its link, and is back when it goes on', async t => {
  const relays = [
    { id: 'root', under: 'root', nodes: [] },
    { id: 'relay-a', under: 'root', nodes: [], byLink: true }
  ]
  const tree = await startTree(t, { relays, settings: { links: ['ping_interval = "1s"'] } })
  for (const [frozen, other] of [
    ['relay-a', 'root'],
    ['root', 'relay-a']
  ] as const) {
    const process = tree.processes.get(frozen)
    const watcher = tree.processes.get(other)
    assert.ok(process !== undefined && watcher !== undefined)
    await eventually('the link', () => linesOf(watcher.log, 'link opened') > linesOf(watcher.log, 'link lost'))
    const lost = linesOf(watcher.log, 'link lost')
    process.signal('SIGSTOP')
    t.after(() => process.signal('SIGCONT'))
    await eventually('its loss', () => linesOf(watcher.log, 'link lost') > lost)
    assert.match(watcher.log.findLast(line => line.includes('"link lost"')) ?? '', /no sign of life/)
    const opened = linesOf(watcher.log, 'link opened')
    process.signal('SIGCONT')
    await eventually('the next link', () => linesOf(watcher.log, 'link opened') > opened)
  }
})

function linesOf(log: readonly string[], message: string): number {
  return log.filter(line => line.includes(`"msg":"${message}"`)).length
}
