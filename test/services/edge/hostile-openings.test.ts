import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createHttpService } from '../../../src/services/edge/http-service.js'
import { formatAnswer } from '../../../src/services/exchange/exchange-messages.js'
import { formatOpening } from '../../../src/services/streams/open-line.js'
import { StreamKinds } from '../../../src/services/streams/stream-kinds.js'
import { silentLogger } from '../../../src/values/logging/logger.js'
import { eventually } from '../../support/eventually.js'
import { RawEnd } from '../../support/parts/raw-services.js'
import { connectionPair, listenTo } from '../../support/parts/stream-pairs.js'

const LINE = { kind: 'http', key: 'git', base: '/v1/relay/git', origin: 'http://relay', body: 'none' }
const NO_TLS = {}
const GET = 'GET /x HTTP/1.1\r\nHost: relay\r\n\r\n'

/** A service below the path `/git`, and a relay above that opens streams as it likes. */
async function startEdge(t: TestContext) {
  const accepted: RawEnd[] = []
  const server = createServer({ allowHalfOpen: true }, socket => {
    accepted.push(new RawEnd(socket))
    t.after(() => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const service = createHttpService({
    baseUrl: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/git`),
    tls: () => NO_TLS,
    logger: silentLogger,
    onAnswered: () => undefined
  })
  t.after(() => service.close())
  const pair = await connectionPair(t)
  pair.take(new StreamKinds('client git/one').on('http', service.take).take)
  return {
    accepted,
    next: () => eventually('a connection to the service', () => accepted.shift()),
    open(line: Readonly<Record<string, unknown>>, head = GET) {
      const stream = pair.upper.open(formatOpening({ ...LINE, ...line }, Buffer.from(head, 'latin1')))
      return { stream, received: listenTo(stream) }
    }
  }
}

for (const [what, line, head, reason] of [
  ['a line break in the upgrade', { upgrade: 'a\r\nX: b' }, GET, /upgrade/],
  ['an upgrade beside a body', { upgrade: 'websocket', body: 'chunked' }, GET, /upgrade/],
  ['a long upgrade', { upgrade: 'a'.repeat(2_000) }, GET, /upgrade/],
  ['characters beyond bytes in the base', { base: '/\u0100' }, GET, /base/],
  ['attributes of a cookie in the base', { base: '/a; Domain=example.com' }, GET, /base/],
  ['a base without end', { base: '/a'.repeat(1_000) }, GET, /base/],
  ['a line break in the origin', { origin: 'http://a\r\nX: b' }, GET, /origin/],
  ['an origin that is none', { origin: 'javascript:alert(1)//' }, GET, /origin/],
  ['a key that is none', { key: '../x' }, GET, /key/],
  ['a number as the key', { key: 1 }, GET, /key/],
  ['an unknown body', { body: 'raw' }, GET, /body/],
  ['a length without a body', {}, GET.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\n'), /frame another body/],
  ['a body without its length', { body: 'length' }, GET, /frame another body/],
  [
    'a length beside chunks',
    { body: 'chunked' },
    GET.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\n'),
    /frame another body/
  ],
  ['chunks of its own', {}, GET.replace('\r\n\r\n', '\r\nTransfer-Encoding: chunked\r\n\r\n'), /frame another body/],
  ['the header Connection', {}, GET.replace('\r\n\r\n', '\r\nConnection: Upgrade\r\n\r\n'), /one connection/],
  ['the header Upgrade', {}, GET.replace('\r\n\r\n', '\r\nUpgrade: h2c\r\n\r\n'), /one connection/],
  ['a header of ours', {}, GET.replace('\r\n\r\n', '\r\nTreeline-Passed: a\r\n\r\n'), /one connection/],
  ['another TE', {}, GET.replace('\r\n\r\n', '\r\nTE: gzip\r\n\r\n'), /TE/],
  ['two hosts', {}, GET.replace('\r\n\r\n', '\r\nHost: b\r\n\r\n'), /more than one Host/],
  ['TRACE', {}, GET.replace('GET', 'TRACE'), /TRACE is not passed on/],
  ['CONNECT', {}, 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n', /CONNECT is not passed on/]
] as const) {
  test(`a request from above with ${what} is refused, and reaches no service`, async t => {
    const edge = await startEdge(t)
    const { stream, received } = edge.open(line, head)
    stream.end()
    await eventually('a refusal', () => received.reset)
    assert.match(received.reset?.message ?? '', reason)
    assert.equal(edge.accepted.length, 0)
  })
}

for (const [what, line, head, data] of [
  ['a request without a body', {}, GET, 'GET /other HTTP/1.1\r\nHost: other\r\n\r\n'],
  [
    'a body with a length',
    { body: 'length' },
    GET.replace('\r\n\r\n', '\r\nContent-Length: 2\r\n\r\n'),
    'abGET /other '
  ],
  ['an offer of an upgrade', { upgrade: 'websocket' }, GET, 'GET /other HTTP/1.1\r\nHost: other\r\n\r\n']
] as const) {
  test(`data from above behind ${what} ends the request, and does not reach the service`, async t => {
    const edge = await startEdge(t)
    const { stream, received } = edge.open(line, head)
    stream.write(Buffer.from(data))
    await eventually('the end of the stream', () => received.reset)
    const service = edge.accepted.shift()
    if (service !== undefined) await service.closed()
    assert.doesNotMatch(service?.text ?? '', /other/)
  })
}

test('a body from above that ends before its length breaks the request off', async t => {
  const edge = await startEdge(t)
  const head = GET.replace('GET', 'PUT').replace('\r\n\r\n', '\r\nContent-Length: 4\r\n\r\n')
  const { stream, received } = edge.open({ body: 'length' }, head)
  const service = await edge.next()
  await service.until(/\r\n\r\n$/)
  stream.write(Buffer.from('ab'))
  stream.end()
  await eventually('the end of the stream', () => received.reset)
  await service.closed()
})

test('an answer from above in place of a request ends it', async t => {
  const edge = await startEdge(t)
  const { stream, received } = edge.open({ body: 'chunked' }, GET.replace('GET', 'POST'))
  stream.message(formatAnswer('none', { status: 200, reason: '', minor: 1, fields: [] }))
  await eventually('the end of the stream', () => received.reset)
})

test('headers of ours pass in no trailers', async t => {
  const edge = await startEdge(t)
  const { stream, received } = edge.open({ body: 'chunked' }, GET.replace('GET', 'POST'))
  stream.message(Buffer.from('TTreeline-Passed: a\r\nX-Sum: 1\r\n\r\n'))
  stream.end()
  const service = await edge.next()
  assert.match(await service.until(/0\r\n[\s\S]*\r\n\r\n$/), /\r\n\r\n0\r\nX-Sum: 1\r\n\r\n$/)
  service.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\ntreeline-b: c\r\nX-Sum: 2\r\n\r\n')
  await eventually('the answer', () => received.hasEnded)
  assert.match(received.text, /<TX-Sum: 2\r\n\r\n>$/)
})

test('a caller that has nothing to say behind its offer of an upgrade may end before the answer', async t => {
  const edge = await startEdge(t)
  const { stream, received } = edge.open({ upgrade: 'x' })
  stream.end()
  const service = await edge.next()
  await service.until(/\r\n\r\n$/)
  service.send('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello')
  await service.closed()
  await eventually('the answer', () => received.hasEnded)
  assert.match(received.text, /hello$/)
})
