import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { RequestListener, Server } from 'node:http'
import { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type CostlySource, onCostlySource } from '../../src/network/sources/costly-source.js'
import {
  FEW_OPEN_REQUESTS,
  MAX_OPEN_REQUESTS,
  MAX_OPEN_REQUESTS_OF_LISTENER,
  MAX_OPEN_REQUESTS_OF_SOURCE,
  OpenRequests
} from '../../src/network/sources/open-requests.js'
import { eventually } from '../support/eventually.js'
import { type OpenedHttp, openHttp, WAYS, type Way } from '../support/network/open-http.js'
import { head } from '../support/network/raw-client.js'

/** So short that a TLS record has more than a connection may send ahead. */
const get = head('GET / HTTP/1.1', 'Host:a')
/** The first request of a connection waits for no other. */
const gets = (pipelined: number) => get.repeat(1 + pipelined)

/** A server that answers nothing until it is told to, and counts what Node's parser hands over. */
async function openSilent(t: TestContext, way: Way) {
  let read = 0
  let begin = () => undefined
  const told = new Promise<void>(resolve => {
    begin = () => void resolve()
  })
  const listener: RequestListener = (_request, response) => void told.then(() => response.end('[]'))
  const opened = await openHttp(t, way, listener)
  opened.server.prependListener('request', () => {
    read += 1
  })
  return { ...opened, events: eventsOf(opened.server), read: () => read, answerAll: () => begin() }
}

function eventsOf(server: Server): CostlySource[] {
  const events: CostlySource[] = []
  onCostlySource(server, event => events.push(event))
  return events
}

async function connectMany(count: number, { connect }: Pick<OpenedHttp, 'connect'>, from?: string): Promise<Socket[]> {
  const sockets: Socket[] = []
  while (sockets.length < count) sockets.push(await connect(from))
  return sockets
}

async function closed(...sockets: Socket[]): Promise<void> {
  await Promise.all(sockets.map(socket => socket.closed || once(socket.resume(), 'close')))
}

async function answersTo(socket: Socket, count: number): Promise<void> {
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
  })
  await eventually('all answers', () => text.split('[]').length === count + 1 || socket.closed)
  assert.ok(!socket.closed)
}

for (const way of WAYS) {
  test(`over ${way}: a connection with too many requests without an answer is closed, and no more is read of it`, async t => {
    const silent = await openSilent(t, way)
    const [flood, honest] = [await silent.connect(), await silent.connect()]
    honest.write(get.repeat(100))
    await eventually('those of the honest one', () => silent.read() === 100)
    flood.write(gets(1_000))
    await closed(flood)
    const source = way === 'a Unix socket' ? '' : '127.0.0.1'
    assert.deepEqual(silent.events, [{ source, of: 'pipelined requests', isOver: false }])
    assert.equal(silent.read(), 100 + 1 + MAX_OPEN_REQUESTS + 1)

    // The next one of the source may have few for a while.
    const [second, third] = [await silent.connect(), await silent.connect()]
    second.write(gets(FEW_OPEN_REQUESTS + 1))
    third.write(gets(FEW_OPEN_REQUESTS))
    await closed(second)
    assert.deepEqual(silent.events.at(1), { source, of: 'pipelined requests', isOver: true })
    silent.answerAll()
    await Promise.all([answersTo(honest, 100), answersTo(third, 1 + FEW_OPEN_REQUESTS)])
    assert.equal(silent.events.length, 2)
  })

  test(`over ${way}: requests that Node would answer by itself count as all others do`, async t => {
    for (const odd of [head('GET / HTTP/1.1', 'X:a'), head('GET / HTTP/1.1', 'Expect:a')]) {
      const silent = await openSilent(t, way)
      let expecting = 0
      silent.server.prependListener('checkExpectation', () => {
        expecting += 1
      })
      const flood = await silent.connect()
      flood.write(odd.repeat(1_000))
      await closed(flood)
      assert.equal(silent.read() + expecting, 1 + MAX_OPEN_REQUESTS + 1, odd)
      assert.equal(silent.events.length, 1)
    }
  })

  test(`over ${way}: a caller that sends a hundred requests ahead, again and again, gets all answers`, async t => {
    const { server, connect } = await openHttp(t, way, (_request, response) => response.end('[]'))
    const events = eventsOf(server)
    const client = await connect()
    let answers = 0
    client.setEncoding('latin1').on('data', (chunk: string) => {
      answers += chunk.split(']').length - 1
    })
    for (let sent = 100; sent <= 2_000; sent += 100) {
      client.write(get.repeat(100))
      await eventually(`${sent} answers`, () => answers === sent || client.closed)
    }
    assert.equal(answers, 2_000)
    assert.deepEqual(events, [])
  })
}

test('a source with too many keeps its connections with few of them, and other sources keep all', async t => {
  const silent = await openSilent(t, 'TCP')
  const [few, other] = [await silent.connect(), await silent.connect('127.0.0.2')]
  few.write(gets(FEW_OPEN_REQUESTS))
  other.write(gets(400))
  await eventually('both to be read', () => silent.read() === FEW_OPEN_REQUESTS + 402)
  const many = await connectMany(MAX_OPEN_REQUESTS_OF_SOURCE / 256, silent)
  for (const client of many) client.write(gets(256))
  await closed(...many.slice(0, -1))
  const [event] = silent.events
  assert.deepEqual(event, { source: '127.0.0.1', of: 'pipelined requests', isOver: true })
  assert.ok(silent.events.every(({ source }) => source === '127.0.0.1'))
  silent.answerAll()
  await Promise.all([answersTo(few, 1 + FEW_OPEN_REQUESTS), answersTo(other, 401)])
})

test('a source with too many on connections of few loses all of those, and keeps those that wait for answers', async t => {
  const silent = await openSilent(t, 'TCP')
  const single = await silent.connect()
  single.write(get)
  const many = await connectMany(MAX_OPEN_REQUESTS_OF_SOURCE / FEW_OPEN_REQUESTS, silent)
  for (const client of many) client.write(gets(FEW_OPEN_REQUESTS))
  await eventually('all to be read', () => silent.read() === 1 + MAX_OPEN_REQUESTS_OF_SOURCE + many.length)
  assert.deepEqual(silent.events, [])
  const last = await silent.connect()
  last.write(gets(1))
  await closed(...many, last)
  assert.deepEqual(silent.events, [{ source: '127.0.0.1', of: 'pipelined requests', isOver: true }])
  silent.answerAll()
  await answersTo(single, 1)
})

test('when a listener has too many, the source with the most loses its connections', async t => {
  const silent = await openSilent(t, 'TCP')
  let sent = 0
  const send = async (socket: Socket, pipelined: number) => {
    socket.write(gets(pipelined))
    sent += 1 + pipelined
    await eventually('it to be read', () => silent.read() === sent)
  }
  const most: Socket[] = []
  const rest: Socket[] = []
  for (let source = 0; source < 9; source += 1) {
    const four = await connectMany(4, silent, `127.0.0.${10 + source}`)
    for (const socket of four) await send(socket, source === 4 ? 500 : 440)
    const kept = source === 4 ? most : rest
    kept.push(...four)
  }
  const left = MAX_OPEN_REQUESTS_OF_LISTENER - 8 * 4 * 440 - 4 * 500
  const last = await silent.connect('127.0.0.20')
  await send(last, left)
  assert.deepEqual(silent.events, [])
  const another = await silent.connect('127.0.0.21')
  await send(another, 1)
  await closed(...most)
  assert.deepEqual(silent.events, [{ source: '127.0.0.14', of: 'pipelined requests', isOver: true }])
  silent.answerAll()
  await Promise.all(rest.map(socket => answersTo(socket, 441)))
  await answersTo(another, 2)
})

test('a source that had too many may have as many as others again ten seconds after the last time', t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const events: boolean[] = []
  const requests = new OpenRequests((_source, isOver) => events.push(isOver))
  /** Opens a connection. @returns how many requests it may have, at most as many as are asked for */
  const allowed = (most: number) => {
    const count = requests.of(new Socket(), () => undefined)
    let added = 0
    while (added < most && count.add()) added += 1
    return added
  }
  assert.equal(allowed(MAX_OPEN_REQUESTS + 1), MAX_OPEN_REQUESTS)
  t.mock.timers.tick(9_999)
  assert.equal(allowed(MAX_OPEN_REQUESTS), FEW_OPEN_REQUESTS, 'the ten seconds begin again')
  t.mock.timers.tick(9_999)
  assert.equal(allowed(FEW_OPEN_REQUESTS), FEW_OPEN_REQUESTS)
  t.mock.timers.tick(1)
  assert.equal(allowed(MAX_OPEN_REQUESTS), MAX_OPEN_REQUESTS)
  assert.deepEqual(events, [false, true])
})
