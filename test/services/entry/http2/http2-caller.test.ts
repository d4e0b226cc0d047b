import assert from 'node:assert/strict'
import { constants } from 'node:http2'
import { test } from 'node:test'
import { eventually } from '../../../support/eventually.js'
import { askHttp2, beginHttp2, callHttp2 } from '../../../support/http2/http2-caller.js'
import { startRawService } from '../../../support/parts/raw-services.js'

const PATH = '/v1/relay/git/x'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

test('a request in HTTP/2 reaches the service in HTTP/1.1: authority as Host, cookies as one, a path byte for byte', async t => {
  const tree = await startRawService(t)
  const session = callHttp2(t, tree.port)
  const asked = askHttp2(session, {
    ':path': `${PATH}%2F//;a?b=%20`,
    ':authority': 'relay.example.com:8080',
    cookie: ['a=1', 'b=2'],
    te: 'trailers',
    'x-two': ['1', '2'],
    'treeline-x': 'no',
    'x-forwarded-for': '1.2.3.4'
  })
  const service = await tree.accepted()
  const seen = await service.until(/\r\n\r\n/)
  assert.match(seen, /^GET \/x%2F\/\/;a\?b=%20 HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n/)
  assert.match(seen, /\r\ncookie: a=1; b=2\r\n/)
  assert.match(seen, /\r\nx-two: 1\r\nx-two: 2\r\n/)
  assert.match(seen, /\r\nTE: trailers\r\n/)
  assert.match(seen, /\r\nX-Forwarded-For: 127\.0\.0\.1\r\n/)
  assert.match(seen, /\r\nX-Forwarded-Host: relay\.example\.com:8080\r\n/)
  assert.doesNotMatch(seen, /treeline|1\.2\.3\.4|transfer-encoding/i)
  service.send(
    'HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nX-A: \xe9\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nConnection: x\r\n\r\nok'
  )
  const { status, fields, text, trailers, code } = await asked
  assert.deepEqual({ status, text, trailers, code }, { status: 200, text: 'ok', trailers: undefined, code: 0 })
  assert.deepEqual(fields, ['content-length', '2', 'x-a', '\xe9', 'set-cookie', 'a', 'set-cookie', 'b'])
})

test('bodies of both directions keep their length, or come in chunks, with trailers', async t => {
  const tree = await startRawService(t)
  const session = callHttp2(t, tree.port)
  const withLength = beginHttp2(session, { ':path': PATH, ':method': 'PUT', 'content-length': 3 })
  const service = await tree.accepted()
  assert.match(await service.until(/\r\n\r\n/), /\r\ncontent-length: 3\r\n/)
  withLength.stream.end('abc')
  await service.until(/\r\n\r\nabc$/)
  service.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n')
  const answer = await withLength.answer
  assert.equal(answer.text, 'ok')
  assert.deepEqual(answer.fields, [])
  assert.deepEqual(answer.trailers, ['x-sum', '1'])
  const stream = session.request({ ':path': PATH, ':method': 'POST' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': 'e' }))
  stream.end('de')
  await service.until(/transfer-encoding: chunked\r\n\r\n2\r\nde\r\n0\r\nx-end: e\r\n\r\n$/i)
  service.send(OK)
  await eventually('the end', () => stream.resume().destroyed)
})

test('HEAD, 204 and 304 have no body, with a length or without', async t => {
  const tree = await startRawService(t)
  const session = callHttp2(t, tree.port)
  const head = askHttp2(session, { ':path': PATH, ':method': 'HEAD' })
  const service = await tree.accepted()
  await service.until(/\r\n\r\n/)
  service.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
  const { status, fields, isHeadAlone } = await head
  assert.deepEqual({ status, fields, isHeadAlone }, { status: 200, fields: ['content-length', '5'], isHeadAlone: true })
  for (const [line, wanted] of [
    ['304 Same\r\nContent-Length: 5', ['content-length', '5']],
    ['204 None', []],
    ['200 OK\r\nContent-Length: 0', ['content-length', '0']]
  ] as const) {
    const asked = askHttp2(session, { ':path': PATH })
    await service.until(/GET[\s\S]*\r\n\r\n$/)
    service.text = ''
    service.send(`HTTP/1.1 ${line}\r\n\r\n`)
    const answer = await asked
    assert.deepEqual(
      [answer.status, answer.fields, answer.isHeadAlone, answer.code],
      [Number(line.slice(0, 3)), wanted, true, 0]
    )
  }
  assert.equal(tree.connections(), 1)
})

test('a caller that waits for a go-ahead gets it from the service; other answers before the answer are dropped', async t => {
  const tree = await startRawService(t)
  const session = callHttp2(t, tree.port)
  const asked = beginHttp2(session, { ':path': PATH, ':method': 'PUT', 'content-length': 3, expect: '100-continue' })
  const service = await tree.accepted()
  await service.until(/\r\nexpect: 100-continue\r\n[\s\S]*\r\n\r\n/)
  service.send('HTTP/1.1 103 Early\r\nLink: <x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n')
  await new Promise(resolve => asked.stream.once('continue', resolve))
  asked.stream.end('abc')
  await service.until(/abc$/)
  service.send(OK)
  assert.deepEqual((await asked.answer).interim, [100])
})

test('an early answer is complete, and the caller is told to send no more', async t => {
  const tree = await startRawService(t)
  const session = callHttp2(t, tree.port)
  const asked = beginHttp2(session, { ':path': PATH, ':method': 'POST' })
  asked.stream.write('a')
  const service = await tree.accepted()
  await service.until(/1\r\na\r\n/)
  service.send('HTTP/1.1 413 Large\r\nContent-Length: 2\r\n\r\nno')
  const { status, text, code } = await asked.answer
  assert.deepEqual({ status, text, code }, { status: 413, text: 'no', code: 0 })
  await service.closed()
  const next = askHttp2(session, { ':path': PATH }) // the connection stays
  const second = await tree.accepted()
  await second.until(/\r\n\r\n/)
  second.send(OK)
  assert.equal((await next).text, 'ok')
})

test('both directions flow while the other one is open', async t => {
  const tree = await startRawService(t)
  const asked = beginHttp2(callHttp2(t, tree.port), { ':path': PATH, ':method': 'POST' })
  asked.stream.write('a')
  const service = await tree.accepted()
  await service.until(/\r\n\r\n1\r\na\r\n$/)
  service.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n')
  await eventually('A', () => asked.text() === 'A')
  asked.stream.write('b')
  await service.until(/1\r\nb\r\n$/)
  service.send('1\r\nB\r\n')
  await eventually('B', () => asked.text() === 'AB')
  asked.stream.end()
  await service.until(/0\r\n\r\n$/)
  service.send('0\r\n\r\n')
  assert.equal((await asked.answer).code, 0)
})

test('a caller that resets its stream or leaves ends the request at the service', async t => {
  const tree = await startRawService(t)
  const session = callHttp2(t, tree.port)
  const asked = beginHttp2(session, { ':path': PATH }, true)
  const other = beginHttp2(session, { ':path': PATH }, true)
  const [first, second] = [await tree.accepted(), await tree.accepted()]
  await first.until(/\r\n\r\n/)
  first.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nA')
  await eventually('the beginning', () => asked.text() === 'A' || other.text() === 'A')
  const { begun, silent } = asked.text() === 'A' ? { begun: asked, silent: other } : { begun: other, silent: asked }
  begun.stream.close(constants.NGHTTP2_CANCEL)
  await first.closed()
  assert.equal(second.hasEnded, false)
  silent.stream.session?.destroy()
  await second.closed()
})

test('a service that breaks off resets the stream: the answer does not look complete', async t => {
  const tree = await startRawService(t)
  const session = callHttp2(t, tree.port)
  for (const framing of ['Content-Length: 9\r\n\r\nA', 'Transfer-Encoding: chunked\r\n\r\n1\r\nA\r\n']) {
    const asked = beginHttp2(session, { ':path': PATH }, true)
    const service = await tree.accepted()
    await service.until(/\r\n\r\n/)
    service.send(`HTTP/1.1 200 OK\r\n${framing}`)
    await eventually('the beginning', () => asked.text() === 'A')
    service.socket.destroy()
    assert.equal((await asked.answer).code, constants.NGHTTP2_INTERNAL_ERROR)
  }
  const unanswered = askHttp2(session, { ':path': PATH, ':method': 'POST' })
  const service = await tree.accepted()
  await service.until(/\r\n\r\n/)
  service.socket.destroy()
  assert.equal((await unanswered).status, 502)
})

test('a reader that is slow slows its service', async t => {
  const tree = await startRawService(t)
  const stream = callHttp2(t, tree.port).request({ ':path': PATH }, { endStream: true }).pause()
  const service = await tree.accepted()
  await service.until(/\r\n\r\n/)
  service.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
  let sent = 0
  while (service.socket.writableLength < 4 * 1024 * 1024) {
    service.send(`4000\r\n${'x'.repeat(0x4000)}\r\n`)
    sent += 0x4000
    await new Promise(setImmediate)
  }
  let got = 0
  stream.on('data', (chunk: Buffer) => {
    got += chunk.length
  })
  stream.resume()
  service.send('0\r\n\r\n')
  await eventually('all of it', () => got === sent)
})

test('a service that is slow slows its caller', async t => {
  const tree = await startRawService(t)
  const { stream } = beginHttp2(callHttp2(t, tree.port), { ':path': PATH, ':method': 'POST' })
  const service = await tree.accepted()
  await service.until(/\r\n\r\n/)
  service.socket.pause()
  let sent = 0
  while (stream.writableLength < 4 * 1024 * 1024) {
    stream.write(Buffer.alloc(0x4000, 'x'))
    sent += 0x4000
    await new Promise(setImmediate)
  }
  service.socket.resume()
  stream.end()
  await service.until(/\r\n0\r\n\r\n$/)
  const body = service.text.slice(service.text.indexOf('\r\n\r\n'))
  assert.equal(body.replaceAll(/[^x]/g, '').length, sent)
})
