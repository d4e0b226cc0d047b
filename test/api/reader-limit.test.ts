import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { limitStalledReader } from '../../src/api/answers/reader-limit.js'
import { eventually } from '../support/eventually.js'
import { listen } from '../support/relays/small-relay.js'

const LIMIT_MS = 200
/** The system takes more in steps: the slow reader below needs about a quarter of a second for one. */
const SLOW_READER_LIMIT_MS = 1_000
const PIECE_BYTES = 64 * 1024
/** More than the system keeps for a reader. */
const MANY_BYTES = 32 * 1024 * 1024

/** As a file is read. */
function* pieces(): Generator<Buffer> {
  for (let bytes = 0; bytes < MANY_BYTES; bytes += PIECE_BYTES) yield Buffer.alloc(PIECE_BYTES)
}

interface Exchange {
  readonly client: Socket
  readonly response: ServerResponse
  readonly socket: Socket
}

/** A request whose answer `answer` writes, under the limit; the client reads nothing yet. */
async function ask(t: TestContext, answer: (response: ServerResponse) => void, limitMs = LIMIT_MS): Promise<Exchange> {
  const server = createServer((_request, response) => {
    limitStalledReader(response, response.req.socket, limitMs)
    answer(response)
  })
  const asked = once(server, 'request')
  const client = connect(await listen(t, server), '127.0.0.1').pause()
  client.on('error', () => undefined) // a reset ends it as well
  t.after(() => client.destroy())
  client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const [request, response] = await asked
  return { client, response, socket: request.socket }
}

test('a reader that takes nothing is cut off, and so is one that has stopped', async t => {
  for (const readFirst of [false, true]) {
    const { client, socket } = await ask(t, response => void response.end(Buffer.alloc(MANY_BYTES)))
    const closed = once(socket, 'close')
    if (readFirst) {
      await once(client.resume(), 'data')
      client.pause()
    }
    await closed
  }
})

test('a reader that goes on taking a little gets everything, though it takes far longer than the limit', async t => {
  const { client, response, socket } = await ask(
    t,
    answer => void Readable.from(pieces()).pipe(answer),
    SLOW_READER_LIMIT_MS
  )
  let looks = 0
  const timer = setInterval(() => {
    looks += 1
    client.read()
  }, 10)
  t.after(() => clearInterval(timer))
  await once(response, 'close')
  assert.equal(response.writableFinished, true)
  assert.equal(socket.destroyed, false)
  assert.ok(looks * 10 > SLOW_READER_LIMIT_MS, `it took only ${looks} looks`)
})

test('an answer that is slow to come is not the reader’s fault, and nothing is left on the connection', async t => {
  let looks = 0
  const { client, response, socket } = await ask(t, answer => void answer.write('begun'))
  const timer = setInterval(() => (looks += 1), LIMIT_MS / 10)
  t.after(() => clearInterval(timer))
  await eventually('twice the limit', () => looks > 20)
  assert.equal(socket.destroyed, false)
  response.end()
  await once(response, 'close')
  looks = 0
  await eventually('twice the limit', () => looks > 20)
  assert.equal(socket.destroyed, false)
  client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  client.resume()
  await once(client, 'data')
})
