import assert from 'node:assert/strict'
import { constants } from 'node:http2'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../../support/eventually.js'
import { askHttp2, beginHttp2, callHttp2 } from '../../../support/http2/http2-caller.js'
import { startHttp2Service } from '../../../support/http2/http2-service.js'
import { RawEnd } from '../../../support/parts/raw-services.js'

const PATH = '/v1/relay/git/x'

function call(t: TestContext, port: number, text: string): RawEnd {
  const end = new RawEnd(connect({ port, host: '127.0.0.1', allowHalfOpen: true }))
  t.after(() => end.socket.destroy())
  return end.send(text)
}

for (const isTls of [false, true]) {
  const over = isTls ? 'over TLS' : 'without TLS'
  test(`a caller in HTTP/1.1 asks a service in HTTP/2, ${over}`, async t => {
    const tree = await startHttp2Service(t, { isTls })
    const caller = call(
      t,
      tree.port,
      'POST /v1/relay/git/a%2Fb?c HTTP/1.1\r\nHost: e\r\nTE: trailers\r\nConnection: TE\r\nX-A: 1\r\nX-A: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: s\r\n\r\n'
    )
    const seen = await tree.seen()
    await eventually('the end of the request', () => seen.hasEnded())
    const raw = seen.raw.join('|')
    const host = isTls ? `localhost:${tree.servicePort}` : `127.0.0.1:${tree.servicePort}`
    assert.ok(raw.includes(`:method|POST|:scheme|${isTls ? 'https' : 'http'}|:authority|${host}|:path|/a%2Fb?c|`), raw)
    assert.match(raw, /\|x-a\|1\|x-a\|2\|/)
    assert.match(raw, /\|te\|trailers\|/)
    assert.doesNotMatch(raw, /transfer-encoding|\|host\||content-length/)
    assert.deepEqual([seen.text(), seen.trailers()], ['abc', ['x-sum', 's']])
    seen.stream.respond({ ':status': 201, 'x-b': ['1', '2'] }, { waitForTrailers: true })
    seen.stream.on('wantTrailers', () => seen.stream.sendTrailers({ 'x-end': 'e' }))
    seen.stream.end('ok')
    const text = await caller.until(/0\r\nx-end: e\r\n\r\n$/)
    assert.match(
      text,
      /^HTTP\/1\.1 201 Created\r\nx-b: 1\r\nx-b: 2\r\n(?:date: .*\r\n)?Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n/
    )
    caller.send('GET /v1/relay/git/y HTTP/1.1\r\nHost: e\r\n\r\n')
    const next = await tree.seen()
    next.stream.respond({ ':status': 200, 'content-length': 2 })
    next.stream.end('on')
    await caller.until(/content-length: 2\r\n[\s\S]*\r\n\r\non$/)
    assert.equal(tree.sessions.length, 1)
  })
}

test('an answer that ends with its head has a length of 0 in HTTP/1.1, and no body in HTTP/2', async t => {
  const tree = await startHttp2Service(t)
  const caller = call(t, tree.port, 'GET /v1/relay/git/x HTTP/1.1\r\nHost: e\r\n\r\n')
  const answer = async () => (await tree.seen()).stream.respond({ ':status': 200, 'x-a': 'b' }, { endStream: true })
  await answer()
  assert.match(await caller.until(/\r\n\r\n$/), /\r\nContent-Length: 0\r\n/)
  const asked = askHttp2(callHttp2(t, tree.port), { ':path': PATH })
  await answer()
  const { fields, isHeadAlone } = await asked
  assert.ok(isHeadAlone)
  assert.ok(!fields.includes('content-length'))
})

test('HEAD, 204, 304, and a go-ahead pass from HTTP/2 to HTTP/2', async t => {
  const tree = await startHttp2Service(t)
  const session = callHttp2(t, tree.port)
  for (const [method, status, length] of [
    ['HEAD', 200, '5'],
    ['GET', 304, '5'],
    ['GET', 204, undefined]
  ] as const) {
    const asked = askHttp2(session, { ':path': PATH, ':method': method })
    const { stream } = await tree.seen()
    stream.respond({ ':status': status, ...(length === undefined ? {} : { 'content-length': length }) })
    if (!stream.writableEnded) stream.end()
    const answer = await asked
    assert.deepEqual([answer.status, answer.text, answer.code], [status, '', 0])
    assert.equal(answer.fields.includes('content-length'), length !== undefined)
  }
  const waiting = beginHttp2(session, { ':path': PATH, ':method': 'PUT', 'content-length': 1, expect: '100-continue' })
  const { stream, text } = await tree.seen()
  stream.additionalHeaders({ ':status': 103, link: '<x>' })
  stream.additionalHeaders({ ':status': 100 })
  await new Promise(resolve => waiting.stream.once('continue', resolve))
  waiting.stream.end('a')
  await eventually('the body', () => text() === 'a')
  stream.respond({ ':status': 200 })
  stream.end('ok')
  const answer = await waiting.answer
  assert.deepEqual([answer.interim, answer.text], [[100], 'ok'])
})

test('a caller that leaves resets its stream at the service, and the others go on', async t => {
  const tree = await startHttp2Service(t)
  const session = callHttp2(t, tree.port)
  const asked = beginHttp2(session, { ':path': PATH }, true)
  const left = await tree.seen()
  const other = askHttp2(session, { ':path': PATH })
  const kept = await tree.seen()
  asked.stream.close(constants.NGHTTP2_CANCEL)
  await eventually('the end at the service', () => left.stream.destroyed)
  assert.equal(left.stream.rstCode, constants.NGHTTP2_CANCEL)
  kept.stream.respond({ ':status': 200 })
  kept.stream.end('ok')
  assert.equal((await other).text, 'ok')
})

test('whatever code a service resets an answer with, it does not look complete', async t => {
  const tree = await startHttp2Service(t)
  const session = callHttp2(t, tree.port)
  const { NGHTTP2_NO_ERROR, NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR } = constants
  for (const code of [NGHTTP2_NO_ERROR, NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, 'destroyed'] as const) {
    const asked = beginHttp2(session, { ':path': PATH }, true)
    const old = call(t, tree.port, 'GET /v1/relay/git/x HTTP/1.1\r\nHost: e\r\n\r\n')
    const both = [await tree.seen(), await tree.seen()]
    for (const { stream } of both) {
      stream.respond({ ':status': 200 }, { waitForTrailers: true }) // without which Node ends the body before the reset
      stream.write('A')
    }
    await eventually('the beginnings', () => asked.text() === 'A' && old.text.endsWith('1\r\nA\r\n'))
    for (const { stream } of both) {
      if (code === 'destroyed') stream.session?.destroy()
      else stream.close(code)
    }
    assert.notEqual((await asked.answer).code, NGHTTP2_NO_ERROR)
    assert.ok((await old.closed()).endsWith('1\r\nA\r\n'))
  }
})

test('a service that goes away ends what it has taken, and gets the rest over a new connection', async t => {
  const tree = await startHttp2Service(t)
  const session = callHttp2(t, tree.port)
  const first = askHttp2(session, { ':path': PATH })
  const seen = await tree.seen()
  seen.stream.session?.close() // GOAWAY
  const second = askHttp2(session, { ':path': PATH, ':method': 'POST' })
  const next = await tree.seen()
  assert.notEqual(next.stream.session, seen.stream.session)
  for (const { stream } of [seen, next]) {
    stream.respond({ ':status': 200 })
    stream.end('ok')
  }
  assert.deepEqual([(await first).text, (await second).text], ['ok', 'ok'])
})

test('beyond the bound of a service further connections are opened', async t => {
  const tree = await startHttp2Service(t, { maxConcurrentStreams: 2 })
  const session = callHttp2(t, tree.port)
  const asked = [askHttp2(session, { ':path': PATH })]
  const seen = [await tree.seen()]
  for (let at = 1; at < 5; at += 1) asked.push(askHttp2(session, { ':path': PATH }))
  while (seen.length < 5) seen.push(await tree.seen())
  assert.equal(tree.sessions.length, 3)
  for (const { stream } of seen) {
    stream.respond({ ':status': 200 })
    stream.end('ok')
  }
  for (const { status } of await Promise.all(asked)) assert.equal(status, 200)
})

test('a refused stream of a request without a body is sent again, and others are answered 502', async t => {
  const tree = await startHttp2Service(t)
  const session = callHttp2(t, tree.port)
  const first = askHttp2(session, { ':path': PATH })
  const seen = await tree.seen()
  seen.stream.respond({ ':status': 200 }, { endStream: true })
  await first
  const again = askHttp2(session, { ':path': PATH, ':method': 'POST' })
  ;(await tree.seen()).stream.close(constants.NGHTTP2_REFUSED_STREAM)
  const repeated = await tree.seen()
  repeated.stream.respond({ ':status': 200 }, { endStream: true })
  assert.equal((await again).status, 200)
  const broken = askHttp2(session, { ':path': PATH, ':method': 'POST' })
  ;(await tree.seen()).stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  const { status, text } = await broken
  assert.deepEqual([status, text], [502, 'no answer from the service: the service reset the stream (INTERNAL_ERROR)\n'])
})
