import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type TestContext, test } from 'node:test'
import { createHttpService } from '../../../src/services/edge/http-service.js'
import { formatTrailers } from '../../../src/services/exchange/exchange-messages.js'
import { HeaderSeals } from '../../../src/services/sealing/header-seals.js'
import { formatOpening } from '../../../src/services/streams/open-line.js'
import { StreamKinds } from '../../../src/services/streams/stream-kinds.js'
import { silentLogger } from '../../../src/values/logging/logger.js'
import { eventually } from '../../support/eventually.js'
import { openServer } from '../../support/network/open-server.js'
import { connectionPair, listenTo } from '../../support/parts/stream-pairs.js'

const SEALS = new HeaderSeals([randomBytes(32)])
const sealed = (value: string) => SEALS.seal('x-spinnaker-user', value, Date.now())

/** A service whose edge opens seals, and a relay above that opens streams. */
async function startEdge(t: TestContext, isFiat: boolean) {
  const seen: string[] = []
  const server = createServer(async (request, response) => {
    request.resume()
    await once(request, 'end')
    seen.push(`${request.url} ${request.headers['x-spinnaker-user']} ${JSON.stringify(request.trailers)}`)
    response.end()
  })
  const http = createHttpService({
    baseUrl: new URL(`http://127.0.0.1:${await openServer(t, server)}/base`),
    opening: { sealing: { names: new Set(['x-spinnaker-user']), seals: SEALS }, isFiat },
    tls: () => ({}),
    logger: silentLogger,
    onAnswered: () => undefined
  })
  t.after(() => http.close())
  const pair = await connectionPair(t)
  pair.take(new StreamKinds('relay').on('http', http.take).take)
  const ask = async (target: string, user?: string, trailers?: readonly string[]) => {
    const line = { kind: 'http', key: 'a', base: '', origin: 'http://relay', body: trailers ? 'chunked' : 'none' }
    const shown = user === undefined ? '' : `X-Spinnaker-User: ${user}\r\n`
    const opening = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: relay\r\n${shown}\r\n`)
    const stream = pair.upper.open(formatOpening(line, opening))
    const received = listenTo(stream)
    if (trailers !== undefined) stream.message(formatTrailers(trailers))
    stream.end()
    await eventually('an answer', () => received.hasEnded || received.reset)
    return received.text
  }
  return { ask, seen }
}

test('a sealed header reaches the service as it was, and one that is not sealed does not', async t => {
  const { ask, seen } = await startEdge(t, false)
  assert.match(await ask('/x', sealed('anna')), /200 OK/)
  assert.match(await ask('/x'), /200 OK/)
  assert.match(await ask('/x', 'root'), /403 [\s\S]*x-spinnaker-user is not sealed/)
  assert.deepEqual(seen, ['/base/x anna {}', '/base/x undefined {}'])
})

test('the path is opened for Fiat alone', async t => {
  const fiat = await startEdge(t, true)
  assert.match(await fiat.ask(`/authorize/${sealed('anna')}/roles`), /200 OK/)
  assert.match(await fiat.ask('/authorize/root'), /403 [\s\S]*the user in the path is not sealed/)
  assert.match(await fiat.ask(`/authorize/${sealed('..')}`), /400 [\s\S]*must not contain/)
  assert.deepEqual(fiat.seen, ['/base/authorize/anna/roles undefined {}'])
  const other = await startEdge(t, false)
  assert.match(await other.ask('/authorize/root'), /200 OK/)
})

test('a trailer does not name the user either', async t => {
  const { ask, seen } = await startEdge(t, false)
  assert.match(
    await ask('/x', sealed('anna'), ['x_spinnaker_user', 'root', 'X-Spinnaker-User', 'root', 'X-B', 'c']),
    /200 OK/
  )
  assert.deepEqual(seen, ['/base/x anna {"x-b":"c"}'])
})
