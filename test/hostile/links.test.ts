import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createServer as createHttp2Server } from 'node:http2'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { WebSocket } from 'ws'
import type { TreeMember } from '../../demo/relay-tree.js'
import { MAX_LANES, MAX_MESSAGE_BYTES } from '../../src/links/protocol.js'
import { SocketStream } from '../../src/links/socket-stream.js'
import { eventually } from '../support/eventually.js'
import {
  FRAME,
  frame,
  type Greeting,
  greet,
  HELLO,
  many,
  openHostileLink,
  openRawLink,
  type RawLink,
  requestsIn,
  settings,
  uint32
} from '../support/hostile-link.js'
import { ask, postForm } from '../support/http.js'
import { exchangeRaw, head } from '../support/raw-client.js'
import { residentBytes } from '../support/relay-health.js'
import { type RunningTree, startTree } from '../support/relay-tree.js'
import { signContent } from '../support/signed-files.js'

const MIB = 1024 * 1024
/** Coarse: each attack below offers several times as much. */
const MEMORY_BYTES = 100 * MIB
/** `evil` is never started: the test speaks in its name. */
const RELAYS = [
  { id: 'root', under: 'root', nodes: ['r1'] },
  { id: 'good', under: 'root', nodes: ['g1'], byLink: true },
  { id: 'evil', under: 'root', nodes: ['e1'], byLink: true }
]

let count = 0

function hostileTree(t: TestContext): Promise<RunningTree> {
  const general = ['connect_timeout = "1s"', 'response_timeout = "1s"']
  return startTree(t, { relays: RELAYS, absent: ['evil'], settings: { general } })
}

function fileFor(tree: RunningTree, target: string, size: number) {
  count += 1
  return signContent(target, tree.member('r1'), `file-${count}`, randomBytes(size))
}

async function put(tree: RunningTree, target: string, size: number): Promise<number> {
  const file = fileFor(tree, target, size)
  return (await ask(tree.relay('root'), `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })).status
}

/** A file and a run still go to those behind the other link. */
async function assertOthersServed(tree: RunningTree): Promise<void> {
  await eventually('the link of good', async () => (await put(tree, 'g1', 10)) === 200)
  assert.equal(await put(tree, 'g1', 200_000), 200)
  const answer = await postForm(tree.relay('root'), '/rudder/relay-api/remote-run/nodes/g1', { keep_output: 'true' })
  assert.match(answer.text, /agent of g1/)
}

function lastLog(tree: RunningTree, from: number): string {
  return (tree.processes.get('root')?.log ?? []).slice(from).join('\n')
}

function rootPid(tree: RunningTree): number {
  return tree.processes.get('root')?.pid ?? 0
}

test('who does not prove to be somebody known gets no link, and the log says why', async t => {
  const tree = await hostileTree(t)
  const root = tree.relay('root')
  const [evil, good, g1] = [tree.member('evil'), tree.member('good'), tree.member('g1')]
  await assertOthersServed(tree)
  const standing = await openHostileLink(t, root, evil)

  const certificateOf = (member: TreeMember) => member.certificate.certificateDer.toString('base64')
  const lies: readonly (readonly [name: string, member: TreeMember, greeting: Greeting, reason: RegExp])[] = [
    ['a wrong signature', evil, { change: identity => ({ ...identity, signature: 'AAAA' }) }, /signature is not one/],
    [
      'a signature over another nonce',
      evil,
      { challenge: { nonce: randomBytes(32).toString('base64') } },
      /signature is not one/
    ],
    ['a signature made for another relay', evil, { challenge: { relay: 'good' } }, /signature is not one/],
    [
      'a signature for a lane',
      evil,
      { purpose: 'lane', link: standing.id, change: id => ({ ...id, purpose: 'link' }) },
      /signature is not one/
    ],
    [
      "another one's certificate",
      evil,
      { change: id => ({ ...id, certificate: certificateOf(good) }) },
      /signature is not one/
    ],
    ['no certificate', evil, { change: id => ({ ...id, certificate: 'AAAA' }) }, /cannot be read|no node is known/],
    ['a version of the future', evil, { change: id => ({ ...id, version: 99 }) }, /version 99/],
    ['a node of another relay', g1, {}, /not managed by root/],
    ['the relay itself', tree.member('root'), {}, /this relay itself/],
    ["a lane of another one's link", good, { purpose: 'lane', link: standing.id }, /does not stand/],
    ['a lane of no link', evil, { purpose: 'lane', link: 'x' }, /does not stand/],
    [
      'a purpose that there is not',
      evil,
      { change: id => ({ ...id, purpose: 'all' as 'link' }) },
      /an identity was expected/
    ]
  ]
  for (const [name, member, greeting, reason] of lies) {
    await t.test(name, async () => {
      const from = tree.processes.get('root')?.log.length ?? 0
      const link = await openRawLink(t, root.url)
      const said = await greet(link, member, greeting)
      assert.equal(said.treeline, 'refused')
      assert.match(String(said.reason), reason)
      await link.closed
      await eventually('a line of log', () => reason.test(lastLog(tree, from)))
    })
  }
  const rubbish: readonly (readonly [name: string, message: string | Buffer])[] = [
    ['no JSON', 'hello'],
    ['a list', '[]'],
    ['nothing that it could be', '{}'],
    ['bytes', Buffer.from('{}')],
    ['a long text', `{"treeline":"identity","program":"${'x'.repeat(20_000)}"}`],
    ['a message beyond all bounds', 'x'.repeat(MAX_MESSAGE_BYTES + 1)]
  ]
  for (const [name, message] of rubbish) {
    await t.test(`${name} instead of an identity`, async () => {
      const link = await openRawLink(t, root.url)
      await link.next()
      const from = tree.processes.get('root')?.log.length ?? 0
      await link.send(message)
      await link.closed
      await eventually('a line of log', () => lastLog(tree, from).includes('"no link"'))
    })
  }
  assert.equal(standing.socket.readyState, standing.socket.OPEN)
  await assertOthersServed(tree)
})

test('handshakes without end, by the thousand: they end, and others are served meanwhile', async t => {
  const tree = await hostileTree(t)
  const root = tree.relay('root')
  const before = await residentBytes(rootPid(tree))
  const silent: RawLink[] = []
  for (let opened = 0; opened < 2_000; opened += 50) {
    const some = await Promise.allSettled(Array.from({ length: 50 }, () => openRawLink(t, root.url)))
    for (const one of some) if (one.status === 'fulfilled') silent.push(one.value)
    if (opened % 500 === 0) for (const { socket } of silent) partOf(socket, 'x')
  }
  t.diagnostic(`${silent.length} of 2000 were let in`)
  await tree.processes.get('good')?.stop()
  await tree.restart('good')
  await assertOthersServed(tree)
  const grown = (await residentBytes(rootPid(tree))) - before
  assert.ok(grown < MEMORY_BYTES, `${Math.round(grown / MIB)} MiB more`)
  const dripping = setInterval(() => {
    for (const { socket } of silent) partOf(socket, 'x')
  }, 500)
  t.after(() => clearInterval(dripping))
  await Promise.all(silent.map(({ closed }) => closed))
  await assertOthersServed(tree)
})

test('connections that never begin their TLS keep nobody else out', async t => {
  const tree = await hostileTree(t)
  const { port } = new URL(tree.relay('root').url)
  const sockets = Array.from({ length: 300 }, () => connect({ host: '127.0.0.1', port: Number(port) }))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  for (const [index, socket] of sockets.entries()) {
    socket.on('error', () => undefined)
    if (index % 2 === 0) socket.write(Buffer.from('160301', 'hex'))
  }
  const link = await openHostileLink(t, tree.relay('root'), tree.member('evil'))
  assert.ok(sockets.some(socket => !socket.destroyed))
  await tree.processes.get('good')?.stop()
  await tree.restart('good')
  await assertOthersServed(tree)
  link.socket.terminate()
})

/** One more piece of a message that does not end. */
function partOf(socket: WebSocket, text: string): void {
  if (socket.readyState === socket.OPEN) socket.send(text, { fin: false })
}

interface Attack {
  readonly name: string
  /** Sends what it has; called again and again until the link is gone, or `times` is reached. */
  readonly bytes: Buffer | string
  /** Undefined: until it is dropped. */
  readonly times?: number
  readonly isDeaf?: boolean
}

const PING = frame(FRAME.ping, 0, 0, Buffer.alloc(8))

const DROPPED: readonly Attack[] = [
  { name: 'bytes that are no HTTP/2', bytes: randomBytes(20_000), times: 1 },
  { name: 'HTTP/1.1', bytes: Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), times: 1 },
  { name: 'a text message', bytes: 'hello', times: 1 },
  { name: 'a message beyond the bound', bytes: Buffer.alloc(MAX_MESSAGE_BYTES + 1), times: 1 },
  {
    name: 'a frame longer than any',
    bytes: Buffer.concat([HELLO, Buffer.from('ffffff040000000000', 'hex')]),
    times: 1
  },
  {
    name: 'headers without a request',
    bytes: Buffer.concat([HELLO, frame(FRAME.headers, 4, 1, Buffer.from([0x88]))]),
    times: 1
  },
  {
    name: 'a stream of its own',
    bytes: Buffer.concat([HELLO, frame(FRAME.headers, 5, 2, Buffer.from([0x82, 0x84, 0x86]))]),
    times: 1
  },
  {
    name: 'a push',
    bytes: Buffer.concat([HELLO, frame(FRAME.push, 4, 1, Buffer.concat([uint32(2), Buffer.from([0x82])]))]),
    times: 1
  },
  {
    name: 'a window beyond the largest',
    bytes: Buffer.concat([HELLO, many(2, frame(FRAME.windowUpdate, 0, 0, uint32(0x7fffffff)))]),
    times: 1
  },
  { name: 'a flood of pings', bytes: Buffer.concat([many(2_000, PING)]) },
  { name: 'a flood of pings whose answers are not read', bytes: many(2_000, PING), isDeaf: true },
  { name: 'a flood of settings', bytes: many(2_000, settings({ 4: 65_535 })) },
  { name: 'a flood of settings whose answers are not read', bytes: many(2_000, settings({ 4: 65_535 })), isDeaf: true },
  { name: 'a flood of priorities', bytes: many(2_000, frame(FRAME.priority, 0, 1, Buffer.from([0, 0, 0, 3, 1]))) }
]

/** Those that only cost the work of reading them. */
const ENDURED: readonly Attack[] = [
  { name: 'a flood of window updates', bytes: many(2_000, frame(FRAME.windowUpdate, 0, 0, uint32(1))), times: 300 },
  { name: 'a flood of empty messages', bytes: Buffer.alloc(0), times: 20_000 }
]

test('what is no HTTP/2, and floods, end the link; the rest do not notice', async t => {
  const tree = await hostileTree(t)
  const root = tree.relay('root')
  await assertOthersServed(tree)
  const before = await residentBytes(rootPid(tree))
  for (const { name, bytes, times = Infinity, isDeaf = false } of [...DROPPED, ...ENDURED]) {
    await t.test(name, async () => {
      const from = tree.processes.get('root')?.log.length ?? 0
      const link = await openHostileLink(t, root, tree.member('evil'))
      if (times !== 1) await link.send(HELLO)
      if (isDeaf) link.socket.pause()
      const attack = async () => {
        for (let sent = 0; sent < times && link.socket.readyState === link.socket.OPEN; sent += 1)
          await link.send(bytes)
      }
      const attacking = attack()
      await assertOthersServed(tree)
      if (times === 1 || times === Infinity) {
        await eventually('the end of the link', () => /"link lost"/.test(lastLog(tree, from)))
        assert.match(lastLog(tree, from), /"reason":"[^"]+"[^\n]*"link lost"/)
        link.socket.terminate()
      }
      await attacking
      link.socket.terminate()
      await link.closed
    })
  }
  await t.test('a message in pieces without end', async () => {
    const link = await openHostileLink(t, root, tree.member('evil'))
    while (link.socket.readyState === link.socket.OPEN) {
      await new Promise<void>(resolve => {
        link.socket.send(Buffer.from('x'), { fin: false, binary: true }, () => resolve())
      })
    }
    await link.closed
  })
  await t.test('pings of the WebSocket, whose answers are not read', async () => {
    const link = await openHostileLink(t, root, tree.member('evil'))
    link.socket.pause()
    const piece = Buffer.alloc(125)
    for (let sent = 0; sent < 2_000_000 && link.socket.readyState === link.socket.OPEN; sent += 1_000) {
      for (let some = 0; some < 999; some += 1) link.socket.ping(piece)
      await Promise.race([
        link.closed,
        new Promise<void>(resolve => {
          link.socket.ping(piece, true, () => resolve())
        }),
        new Promise(resolve => setTimeout(resolve, 1_000))
      ])
      if (link.socket.bufferedAmount > 64 * MIB) break // the relay has stopped reading
    }
    link.socket.terminate()
    await assertOthersServed(tree)
  })
  const grown = (await residentBytes(rootPid(tree))) - before
  t.diagnostic(`${Math.round(grown / MIB)} MiB more than before`)
  assert.ok(grown < MEMORY_BYTES, `${Math.round(grown / MIB)} MiB more`)
})

test('requests to a link that takes and answers nothing end by their limit, and memory is bounded', async t => {
  const tree = await hostileTree(t)
  const root = tree.relay('root')
  await assertOthersServed(tree)
  const before = await residentBytes(rootPid(tree))
  const link = await openHostileLink(t, root, tree.member('evil'))
  await link.send(Buffer.concat([settings({ 4: 0 }), frame(FRAME.settings, 1, 0)]))

  const statuses = await Promise.all(
    Array.from({ length: 60 }, (_, index) => put(tree, 'e1', index % 6 === 0 ? 3 * MIB : 60_000))
  )
  assert.deepEqual(new Set(statuses), new Set([202]))
  assert.ok(requestsIn(link.bytes()).length > 60, 'it was asked')
  await assertOthersServed(tree)
  const run = await postForm(root, '/rudder/relay-api/remote-run/nodes/g1,e1', { keep_output: 'true' }).catch(
    () => undefined
  )
  assert.ok(run !== undefined)
  const grown = (await residentBytes(rootPid(tree))) - before
  assert.ok(grown < MEMORY_BYTES, `${Math.round(grown / MIB)} MiB more`)
})

test('a link on which as many requests hang as there may be: a large file for it waits, the relay goes on', async t => {
  const tree = await startTree(t, {
    relays: RELAYS,
    absent: ['evil'],
    settings: { general: ['connect_timeout = "1s"', 'response_timeout = "20s"'] }
  })
  const root = tree.relay('root')
  const link = await openHostileLink(t, root, tree.member('evil'))
  await link.send(HELLO)
  const stop = new AbortController()
  t.after(() => stop.abort())
  const file = fileFor(tree, 'e1', 10)
  const hanging = Array.from({ length: 1_100 }, () =>
    ask(root, `${file.path}?hash=${file.hash}`, { method: 'HEAD', signal: stop.signal }).catch(() => undefined)
  )
  await eventually('all to hang', () => requestsIn(link.bytes()).length >= 1_024)
  assert.equal(await put(tree, 'e1', 3 * MIB), 202)
  await assertOthersServed(tree)
  // The lane that nobody could ask for was waited for until now.
  await new Promise(resolve => setTimeout(resolve, 2_500))
  await assertOthersServed(tree)
  stop.abort()
  await Promise.all(hanging)
})

test('every request is reset at once, in a loop: each of them is told, and others are served', async t => {
  const tree = await hostileTree(t)
  const link = await openHostileLink(t, tree.relay('root'), tree.member('evil'))
  await link.send(HELLO)
  let answered = 0
  link.socket.on('message', () => {
    const streams = requestsIn(link.bytes())
    const resets = streams
      .slice(answered)
      .flatMap(stream => [
        frame(FRAME.reset, 0, stream, uint32(8)),
        frame(FRAME.reset, 0, stream, uint32(8)),
        frame(FRAME.headers, 5, stream, Buffer.from([0x88]))
      ])
    answered = streams.length
    if (resets.length > 0) link.socket.send(Buffer.concat(resets))
  })
  const statuses = await Promise.all(Array.from({ length: 300 }, () => put(tree, 'e1', 100)))
  assert.deepEqual(new Set(statuses), new Set([202]))
  await assertOthersServed(tree)
})

test('answers with giant headers, and an endless row of informational ones, are no answers', async t => {
  const tree = await hostileTree(t)
  const root = tree.relay('root')
  const literal = (length: number) =>
    Buffer.concat([
      Buffer.from([
        0x10,
        1,
        0x78,
        0x7f,
        0x80 | ((length - 127) & 127),
        0x80 | (((length - 127) >> 7) & 127),
        (length - 127) >> 14
      ]),
      Buffer.alloc(length, 0x79)
    ])
  const giant = (stream: number) => [
    frame(FRAME.headers, 0, stream, Buffer.from([0x88])),
    ...Array.from({ length: 100 }, () => frame(FRAME.continuation, 0, stream, literal(15_000))),
    frame(FRAME.continuation, 4, stream)
  ]
  const before = await residentBytes(rootPid(tree))
  await t.test('giant', async () => {
    const link = await openHostileLink(t, root, tree.member('evil'))
    await link.send(HELLO)
    let answered = 0
    link.socket.on('message', () => {
      const streams = requestsIn(link.bytes())
      for (const stream of streams.slice(answered)) for (const piece of giant(stream)) link.socket.send(piece)
      answered = streams.length
    })
    assert.equal(await put(tree, 'e1', 100), 202)
    await assertOthersServed(tree)
  })
  await t.test('informational', async () => {
    const link = await openHostileLink(t, root, tree.member('evil'))
    await link.send(HELLO)
    // :status as a literal without indexing, by the name of the static table: 103
    const info = Buffer.from([0x08, 3, 0x31, 0x30, 0x33])
    const saying = setInterval(() => {
      if (link.socket.readyState !== link.socket.OPEN) return
      const streams = requestsIn(link.bytes())
      link.socket.send(Buffer.concat(streams.map(stream => frame(FRAME.headers, 4, stream, info))))
    }, 20)
    t.after(() => clearInterval(saying))
    assert.equal(await put(tree, 'e1', 100), 202)
    clearInterval(saying)
    await assertOthersServed(tree)
  })
  const grown = (await residentBytes(rootPid(tree))) - before
  assert.ok(grown < MEMORY_BYTES, `${Math.round(grown / MIB)} MiB more`)
})

test('lanes: those beyond the bound are refused, and one that breaks within a file loses nothing', async t => {
  const tree = await hostileTree(t)
  const root = tree.relay('root')
  const evil = tree.member('evil')
  await t.test('unasked', async () => {
    const link = await openHostileLink(t, root, evil)
    await link.send(HELLO)
    const said: unknown[] = []
    for (let opened = 0; opened < MAX_LANES + 5; opened += 1) {
      const lane = await openRawLink(t, root.url)
      said.push((await greet(lane, evil, { purpose: 'lane', link: link.id })).treeline)
    }
    assert.deepEqual(said, [...Array(MAX_LANES).fill('welcome'), ...Array(5).fill('refused')])
    await assertOthersServed(tree)
    link.socket.terminate()
  })
  for (const way of ['breaks', 'rubbish'] as const) {
    await t.test(way, async () => {
      const link = await openHostileLink(t, root, evil)
      const server = createHttp2Server((_request, response) => {
        response.writeHead(204)
        response.end()
        void openLane()
      })
      const openLane = async () => {
        const lane = await openRawLink(t, root.url)
        let isIn = false
        lane.socket.on('message', (_data: Buffer, isBinary) => {
          if (!isBinary) isIn = true
          else if (way === 'rubbish') lane.socket.send(Buffer.from('no HTTP\r\n\r\n'))
          else if (lane.bytes().length > MIB) lane.socket.terminate()
        })
        await greet(lane, evil, { purpose: 'lane', link: link.id })
        assert.ok(isIn)
      }
      server.on('sessionError', () => undefined)
      server.emit('connection', new SocketStream(link.socket))
      assert.equal(await put(tree, 'e1', 5 * MIB), 202)
      await assertOthersServed(tree)
      link.socket.terminate()
    })
  }
  await t.test('what was accepted arrives once its relay is itself', async () => {
    await tree.restart('evil')
    await eventually('an empty outbox', async () => {
      const { entries } = JSON.parse((await ask(root, '/outbox')).text)
      return entries.length === 0
    })
  })
})

test('upgrade requests by the thousand, and to other places, are answered and closed', async t => {
  const tree = await hostileTree(t)
  const { port } = new URL(tree.relay('root').localUrl)
  const say = (path: string, upgrade: string) =>
    new Promise<string>(resolve => {
      const socket = connect({ host: '127.0.0.1', port: Number(port), allowHalfOpen: true })
      let text = ''
      socket.on('data', chunk => {
        text += chunk
      })
      socket.on('error', () => resolve(text))
      socket.on('end', () => resolve(text)) // our side stays open
      t.after(() => socket.destroy())
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: ${upgrade}\r\n\r\n`
      )
    })
  for (let round = 0; round < 20; round += 1) {
    const answers = await Promise.all(Array.from({ length: 100 }, () => say('/v1/relay/register', 'websocket')))
    for (const answer of answers) assert.match(answer, /^HTTP\/1.1 400 /)
  }
  // What a client offers besides HTTP/1.1 may be left alone (RFC 9110, section 7.8).
  assert.match(await say('/uuid', 'h2c'), /^HTTP\/1.1 200 [\s\S]*root$/)
  assert.match(await say('/uuid', 'websocket'), /^HTTP\/1.1 200 [\s\S]*root$/)
  const offer = head(
    'POST /uuid HTTP/1.1',
    'Host: x',
    'Connection: Upgrade, close',
    'Upgrade: h2c',
    'Content-Length: 3'
  )
  assert.match(await exchangeRaw(t, tree.relay('root'), `${offer}abc`, true), /^HTTP\/1.1 40[45] /)
  const plain = head('GET /uuid HTTP/1.1', 'Host: x', 'Connection: Upgrade, close', 'Upgrade: h2c')
  assert.match(await exchangeRaw(t, tree.relay('root'), plain, true), /^HTTP\/1.1 200 [\s\S]*root$/)
  await assertOthersServed(tree)
})
