import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { ReadingTurns, type SourceStanding } from '../../src/relay/listening/reading-turns.js'
import { eventually } from '../support/eventually.js'
import { isAnswered, openGate, startTls } from '../support/parts/handshake-gates.js'

/** Connections to one server, whose ends there take their turns. */
async function openTurns(t: TestContext) {
  const turns = new ReadingTurns(() => undefined)
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    turns.close()
  })
  const { port } = server.address() as AddressInfo
  const read: string[] = []
  const open = async (name: string) => {
    const client = connect(port, '127.0.0.1')
    const [socket] = (await once(server, 'connection')) as [Socket]
    t.after(() => {
      client.destroy()
      socket.destroy()
    })
    socket.on('data', () => read.push(name))
    await new Promise(setImmediate) // from then on it reads
    return { client, socket }
  }
  const add = async (name: string, source: string, standing: SourceStanding) => {
    const opened = await open(name)
    turns.add(source, standing, opened.socket)
    return opened
  }
  return { turns, read, open, add }
}

test('connections that wait read one in a turn of the event loop, and their sources take turns', async t => {
  const { turns, read, open } = await openTurns(t)
  const perTurn: number[] = []
  const names = ['a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'b0', 'b1']
  const opened: (readonly [name: string, Awaited<ReturnType<typeof open>>])[] = []
  for (const name of names) opened.push([name, await open(name)])
  for (const [name, { client, socket }] of opened) {
    turns.add(name.slice(0, 1), 'unknown', socket)
    client.write('x')
  }
  const watch = () => {
    perTurn.push(read.length)
    if (read.length < 8) setImmediate(watch)
  }
  watch()
  await eventually('all to be read', () => read.length === 8)
  assert.deepEqual(read, ['a0', 'b0', 'a1', 'b1', 'a2', 'a3', 'a4', 'a5'])
  for (const [index, count] of perTurn.entries()) assert.ok(count - (perTurn[index - 1] ?? 0) <= 1, String(perTurn))
})

test('sources that rest together are those of whom no more is known, and what ends reads on by itself', async t => {
  const { turns, read, add } = await openTurns(t)
  turns.rest('known', 3_600_000)
  turns.rest('cheap', 3_600_000)
  const unknown = await add('unknown', 'a', 'unknown')
  const cheap = await add('cheap', 'b', 'cheap')
  unknown.client.write('x')
  cheap.client.write('x')
  for (let count = 1; count <= 3; count += 1) {
    const known = await add('known', 'c', 'known')
    known.client.write('x')
    await eventually('the neighbour', () => read.length === count)
  }
  assert.deepEqual(read, ['known', 'known', 'known'])
  turns.delete(cheap.socket)
  await eventually('the one that is done', () => read.at(-1) === 'cheap')
})

test('a costly handshake has all others rest of whose source no more is known, but no neighbour', async t => {
  const judged: string[] = []
  const gate = await openGate(t, {
    judge: ({ remoteAddress = '' }) => {
      judged.push(remoteAddress)
      if (remoteAddress === '127.0.0.2') return 'known'
      return remoteAddress === '127.0.0.3' ? 'usual' : 'costly'
    },
    restMs: () => 0,
    restTogetherMs: busyMs => (busyMs > 0 && judged.some(address => address > '127.0.0.4') ? 3_600_000 : 0)
  })
  for (const address of ['127.0.0.2', '127.0.0.3']) await isAnswered(startTls(t, gate, address))
  for (let index = 0; index < 4; index += 1) {
    const socket = startTls(t, gate, `127.0.0.${5 + index}`)
    await once(socket, 'connect')
  }
  await eventually('the first one', () => judged.length >= 3)
  for (let count = 0; count < 3; count += 1)
    for (const address of ['127.0.0.2', '127.0.0.3']) await isAnswered(startTls(t, gate, address))
  assert.equal(judged.filter(address => address > '127.0.0.4').length, 1)
})
