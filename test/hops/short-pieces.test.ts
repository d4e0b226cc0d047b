import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { Pool } from 'undici'
import { Exchange, piecesOf } from '../../src/hops/exchange.js'
import { PieceBudget } from '../../src/network/sources/piece-budget.js'

const PIECES = 9_000

test('an answer in pieces of one byte comes whole, and no turn of the event loop takes more of them than are allowed', async t => {
  const server = createServer(socket => {
    socket.on('error', () => undefined)
    socket.once('data', () => {
      const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
      socket.end(`${head}${'1\r\na\r\n'.repeat(PIECES)}0\r\n\r\n`)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const pool = new Pool(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.after(async () => {
    await pool.destroy()
    server.close()
  })
  const exchange = new Exchange(undefined, piecesOf(pool))
  pool.dispatch({ path: '/', method: 'GET' }, exchange)
  const { body } = await exchange.answer
  let bytes = 0
  let ofTurn = 0
  let mostOfTurn = 0
  body.on('data', (chunk: Buffer) => {
    if (ofTurn === 0) {
      setImmediate(() => {
        ofTurn = 0
      })
    }
    bytes += chunk.length
    ofTurn += 1
    mostOfTurn = Math.max(mostOfTurn, ofTurn)
  })
  await once(body, 'end')
  assert.equal(bytes, PIECES)
  assert.ok(mostOfTurn < 5_000, `${mostOfTurn} in one turn`)
})

for (const end of ['its end', 'a failure'] as const) {
  test(`an answer that is not read for a while keeps no timer after ${end}`, async () => {
    const timers = () => process.getActiveResourcesInfo().filter(kind => kind === 'Timeout').length
    const controller = {
      aborted: false,
      paused: false,
      reason: null,
      abort: () => undefined,
      pause: () => undefined,
      resume: () => undefined
    }
    const before = timers()
    const exchange = new Exchange(undefined, new PieceBudget({ ahead: 0, forgivenPerSecond: 0.01 }))
    exchange.onRequestStart(controller)
    exchange.onResponseStart(controller, 200, {})
    const { body } = await exchange.answer
    body.on('error', () => undefined)
    exchange.onResponseData(controller, Buffer.from('a'))
    assert.equal(timers(), before + 1)
    if (end === 'its end') exchange.onResponseEnd()
    else exchange.abort(new Error('enough'))
    assert.equal(timers(), before)
  })
}
