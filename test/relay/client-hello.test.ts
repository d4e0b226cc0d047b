import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import {
  awaitHello,
  FirstBytesJudge,
  MAX_HELLO_BYTES,
  MAX_HELLO_PIECES
} from '../../src/relay/listening/handshakes/client-hello.js'
import { MAX_SILENT } from '../../src/relay/listening/handshakes/handshake-gate.js'
import { clientHello, connectFrom, FOR_EVER_MS, openGate, startTls } from '../support/parts/handshake-gates.js'

const judgeFirstBytes = (bytes: Buffer) => new FirstBytesJudge().read(bytes)
const record = (content: Buffer) =>
  Buffer.concat([Buffer.of(22, 3, 1, content.length >> 8, content.length & 255), content])

test('connections that say nothing, or not all of a ClientHello, take no handshake from others', async t => {
  const gate = await openGate(t, { turnMs: FOR_EVER_MS, helloLimitMs: FOR_EVER_MS })
  const hello = await clientHello(t)
  for (let index = 0; index < 40; index++) {
    const socket = await connectFrom(t, gate, '127.0.0.1')
    if (index % 2 === 0) socket.write(hello.subarray(0, hello.length - 1 - index))
  }
  await once(startTls(t, gate, '127.0.0.1'), 'secureConnect')
})

test('a ClientHello that comes in pieces is one', async t => {
  const gate = await openGate(t, { helloLimitMs: FOR_EVER_MS })
  const hello = await clientHello(t)
  const socket = await connectFrom(t, gate, '127.0.0.1')
  socket.setNoDelay(true)
  for (const byte of hello.subarray(0, 20)) {
    socket.write(Buffer.of(byte))
    await new Promise(resolve => setImmediate(resolve))
  }
  socket.write(hello.subarray(20))
  const [answer] = (await once(socket, 'data')) as [Buffer]
  assert.equal(answer[0], 22, 'a ServerHello')
})

test('nothing of the wait for a ClientHello stays on the connection', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const caller = connect(address.port, '127.0.0.1')
  t.after(() => caller.destroy())
  const [socket] = (await once(server, 'connection')) as [Socket]
  t.after(() => socket.destroy())
  const listeners = () => socket.eventNames().map(event => [event, socket.listenerCount(event)])
  const before = listeners()
  const came = new Promise<void>(resolve => awaitHello(socket, FOR_EVER_MS, resolve))
  const hello = await clientHello(t)
  caller.write(hello)
  await came
  assert.deepEqual(listeners(), before)
  assert.deepEqual(socket.read(), hello)
})

test('a ClientHello is whole with all the bytes that it names, in however many records', async t => {
  const hello = (await clientHello(t)).subarray(5)
  const records = Array.from({ length: Math.ceil(hello.length / 3) }, (_, at) =>
    record(hello.subarray(3 * at, 3 * at + 3))
  )
  const bytes = Buffer.concat(records)
  for (let end = 0; end < bytes.length; end += 1) assert.equal(judgeFirstBytes(bytes.subarray(0, end)), 'part')
  assert.equal(judgeFirstBytes(bytes), 'whole')
  assert.equal(judgeFirstBytes(Buffer.from('GET')), 'other')
  assert.equal(judgeFirstBytes(record(Buffer.of(2))), 'other', 'a ServerHello')
  assert.equal(judgeFirstBytes(record(Buffer.of(1, 1, 0, 0))), 'too-long', 'it says so')
  assert.equal(judgeFirstBytes(record(Buffer.alloc(0))), 'faulty', 'an empty record')
  assert.equal(judgeFirstBytes(Buffer.concat([records[0] ?? bytes, record(Buffer.alloc(0))])), 'faulty')
  const long = Buffer.concat(
    Array.from({ length: MAX_HELLO_BYTES / 6 + 1 }, (_, at) => record(Buffer.of([1, 0, 0x3f][at] ?? 0)))
  )
  assert.equal(judgeFirstBytes(long), 'too-long', 'with its records')
})

test('first bytes are judged as they come, each once, and as they are judged in one', async t => {
  const hello = await clientHello(t)
  const judge = new FirstBytesJudge()
  const kinds = [...hello].map(byte => judge.read(Buffer.of(byte)))
  assert.equal(kinds.pop(), 'whole')
  assert.deepEqual(new Set(kinds), new Set(['part']))
})

test('a connection whose ClientHello comes in very many pieces, or in an empty record, is closed', async t => {
  const gate = await openGate(t, { helloLimitMs: FOR_EVER_MS })
  const hello = await clientHello(t)
  const pieces = await connectFrom(t, gate, '127.0.0.1')
  pieces.setNoDelay(true).resume()
  let sent = 0
  for (; sent < hello.length - 1 && !pieces.closed; sent += 1) {
    pieces.write(hello.subarray(sent, sent + 1))
    await new Promise(resolve => setImmediate(resolve))
  }
  if (!pieces.closed) await once(pieces, 'close')
  assert.ok(sent > MAX_HELLO_PIECES)

  const empty = await connectFrom(t, gate, '127.0.0.1')
  empty.resume().write(record(Buffer.alloc(0)))
  await once(empty, 'close')
})

test('a record with the first byte of a ClientHello takes no handshake from others', async t => {
  const gate = await openGate(t, { turnMs: FOR_EVER_MS, helloLimitMs: FOR_EVER_MS })
  for (let index = 0; index < 40; index++) {
    const socket = await connectFrom(t, gate, `127.0.0.${100 + index}`)
    socket.write(Buffer.of(22, 3, 1, 0, 1, 1))
  }
  await once(startTls(t, gate, '127.0.0.1'), 'secureConnect')
})

test('a connection without a ClientHello is closed in the end; of too many the oldest goes', async t => {
  const short = await openGate(t, { helloLimitMs: 20 })
  await once(await connectFrom(t, short, '127.0.0.1'), 'close')

  const gate = await openGate(t, { helloLimitMs: FOR_EVER_MS, graceMs: 0 })
  const oldest = await connectFrom(t, gate, '127.0.0.2')
  const other = await connectFrom(t, gate, '127.0.0.3')
  const closed = once(oldest, 'close')
  for (let index = 0; index < MAX_SILENT - 1; index++) await connectFrom(t, gate, '127.0.0.2')
  await closed
  assert.equal(other.destroyed, false)
})
