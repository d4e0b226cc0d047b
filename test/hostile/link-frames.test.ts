import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { MAX_MESSAGE_BYTES } from '../../src/links/wire/protocol.js'
import { eventually } from '../support/eventually.js'
import {
  FRAME,
  frame,
  HELLO,
  many,
  openHostileLink,
  requestsIn,
  settings,
  uint32
} from '../support/hostile/hostile-link.js'
import { assertOthersServed, hostileTree, logOfRoot, MIB, put, watchMemory } from '../support/hostile/hostile-tree.js'

interface Attack {
  readonly name: string
  /** Sends what it has; called again and again until the link is gone, or `times` is reached. */
  readonly bytes: Buffer | string
  /** Undefined: until it is dropped. */
  readonly times?: number
  readonly isDeaf?: boolean
  /** What only shows once something is asked over the link. */
  readonly isAsked?: boolean
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
    times: 1,
    isAsked: true
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
  { name: 'a flood of priorities', bytes: many(2_000, frame(FRAME.priority, 0, 1, Buffer.from([0, 0, 0, 3, 1]))) },
  { name: 'a flood of window updates', bytes: many(2_000, frame(FRAME.windowUpdate, 0, 0, uint32(1))) },
  { name: 'a flood of frames of a kind that there is not', bytes: many(2_000, frame(0x60, 0, 0, Buffer.alloc(3))) },
  { name: 'a flood of answers to settings', bytes: many(2_000, frame(FRAME.settings, 1, 0)) },
  { name: 'a flood of empty messages', bytes: Buffer.alloc(0) },
  { name: 'frames in pieces of one byte', bytes: Buffer.alloc(1) }
]

/** :status as a literal without indexing, by the name of the static table: 103 */
const INFORMATIONAL = Buffer.from([0x08, 3, 0x31, 0x30, 0x33])
const OK = Buffer.from([0x88])

/** Frames on the stream of a request that the other side made, each of which brings nothing on. */
const UNANSWERING: readonly (readonly [name: string, of: (stream: number) => Buffer, first?: Buffer])[] = [
  ['informational heads', stream => frame(FRAME.headers, 4, stream, INFORMATIONAL)],
  ['empty data', stream => frame(FRAME.data, 0, stream), OK],
  ['data that is nothing but padding', stream => frame(FRAME.data, 8, stream, Buffer.from([2, 0, 0])), OK],
  ['windows', stream => frame(FRAME.windowUpdate, 0, stream, uint32(1))],
  ['cancellations', stream => frame(FRAME.reset, 0, stream, uint32(8))]
]

test('what is no HTTP/2, and floods, end the link; the rest do not notice', async t => {
  const tree = await hostileTree(t, '1s', ['ping_interval = "5s"'])
  const root = tree.relay('root')
  await assertOthersServed(tree)
  const checkMemory = await watchMemory(tree)
  for (const { name, bytes, times = Infinity, isDeaf = false, isAsked = false } of DROPPED) {
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
      if (isAsked) await put(tree, 'e1', 10)
      await assertOthersServed(tree)
      if (times === 1 || times === Infinity) {
        await eventually('the end of the link', () => /"link lost"/.test(logOfRoot(tree, from)))
        assert.match(logOfRoot(tree, from), /"reason":"[^"]+"[^\n]*"link lost"/)
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
  t.diagnostic(`${await checkMemory()} MiB more than before`)
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
  const checkMemory = await watchMemory(tree)
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
    await link.closed
    await assertOthersServed(tree)
  })
  await t.test('informational', async () => {
    const link = await openHostileLink(t, root, tree.member('evil'))
    await link.send(HELLO)
    const saying = setInterval(() => {
      if (link.socket.readyState !== link.socket.OPEN) return
      const streams = requestsIn(link.bytes())
      link.socket.send(Buffer.concat(streams.map(stream => frame(FRAME.headers, 4, stream, INFORMATIONAL))))
    }, 20)
    t.after(() => clearInterval(saying))
    assert.equal(await put(tree, 'e1', 100), 202)
    clearInterval(saying)
    await assertOthersServed(tree)
  })
  for (const [name, of, first] of UNANSWERING) {
    await t.test(`${name}, as fast as they are taken`, async () => {
      const from = tree.processes.get('root')?.log.length ?? 0
      const link = await openHostileLink(t, root, tree.member('evil'))
      await link.send(HELLO)
      const asked = put(tree, 'e1', 100)
      const [stream = 0] = await eventually('the request', () => {
        const streams = requestsIn(link.bytes())
        return streams.length > 0 && streams
      })
      if (first !== undefined) await link.send(frame(FRAME.headers, 4, stream, first))
      const flood = many(4_000, of(stream))
      while (link.socket.readyState === link.socket.OPEN) await link.send(flood)
      const lost = () => /"reason":"it flooded the link with frames that carry nothing"/.test(logOfRoot(tree, from))
      await eventually('the reason', lost)
      await asked
      await assertOthersServed(tree)
    })
  }
  await checkMemory()
})
