import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { constants } from 'node:http2'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { makeAgentCertificate } from '../../../../demo/pki.js'
import { FRAME, frame, settings } from '../../../support/hostile/hostile-link.js'
import { askHttp2, beginHttp2, callHttp2 } from '../../../support/http2/http2-caller.js'
import { END_STREAM, headerBlock, PREFACE, RawHttp2 } from '../../../support/http2/raw-http2.js'
import { openServer } from '../../../support/network/open-server.js'
import { startRelaysTo } from '../../../support/parts/relays-to-service.js'

const PATH = '/v1/relay/git/x'

/** A service whose frames the test writes; it has said SETTINGS. */
async function startRawHttp2(t: TestContext) {
  const accepted: ((raw: RawHttp2) => void)[] = []
  const server = createTcpServer(socket => {
    socket.once('data', chunk => {
      socket.pause()
      socket.unshift(chunk.subarray(PREFACE.length))
      accepted.shift()?.(new RawHttp2(socket).send(settings(), frame(FRAME.settings, 1, 0)))
      socket.resume()
    })
  })
  const port = await startRelaysTo(t, `http://127.0.0.1:${await openServer(t, server)}`, { protocol: 'h2c' })
  return { port, next: () => new Promise<RawHttp2>(resolve => accepted.push(resolve)) }
}

function answer(fields: Readonly<Record<string, string>>, flags = 0): Buffer {
  return frame(FRAME.headers, 4 | flags, 1, headerBlock(fields))
}

test('a service that speaks no HTTP/2 is told apart, and one that cannot be reached', async t => {
  const old = createServer((_request, response) => void response.end())
  const silent = createTcpServer((socket: Socket) => socket.end())
  for (const [server, reason] of [
    [old, /^no answer from the service: it does not speak HTTP\/2: /],
    [silent, /^no answer from the service: it closed the connection, and spoke no HTTP\/2/]
  ] as const) {
    const port = await startRelaysTo(t, `http://127.0.0.1:${await openServer(t, server)}`, { protocol: 'h2c' })
    const { status, text } = await askHttp2(callHttp2(t, port), { ':path': PATH, ':method': 'POST' })
    assert.equal(status, 502)
    assert.match(text, reason)
  }
  const { certificatePem: cert, privateKeyPem: key } = await makeAgentCertificate({
    nodeId: 's',
    hostname: 'localhost'
  })
  const tls = createTlsServer({ cert, key }, socket => void socket.on('error', () => undefined))
  const baseUrl = `https://localhost:${await openServer(t, tls)}`
  const port = await startRelaysTo(t, baseUrl, { protocol: 'h2', ca: [cert] })
  const { status, text } = await askHttp2(callHttp2(t, port), { ':path': PATH })
  assert.deepEqual([status, text], [502, 'no answer from the service: it does not take HTTP/2 over TLS (ALPN h2)\n'])
  const gone = await startRelaysTo(t, 'http://127.0.0.1:1', { protocol: 'h2c' })
  assert.match((await askHttp2(callHttp2(t, gone), { ':path': PATH })).text, /ECONNREFUSED/)
})

test('a malformed answer is 502, and the connection to the service goes on where it can', async t => {
  const { port, next } = await startRawHttp2(t)
  const many = Object.fromEntries(Array.from({ length: 201 }, (_, at) => [`x-${at}`, '1']))
  for (const [name, frames] of [
    ['no status', answer({ 'x-a': 'b' }, END_STREAM)],
    ['a status of 101', answer({ ':status': '101' })],
    ['too many fields', answer({ ':status': '200', ...many }, END_STREAM)],
    ['a header of the connection', answer({ ':status': '200', connection: 'close' }, END_STREAM)],
    ['interim answers without end', Buffer.concat(Array.from({ length: 40 }, () => answer({ ':status': '103' })))],
    [
      'a body shorter than its length',
      Buffer.concat([answer({ ':status': '204', 'content-length': '3' }, 0), frame(FRAME.reset, 0, 1, Buffer.alloc(4))])
    ]
  ] as const) {
    const session = callHttp2(t, port)
    const coming = next()
    const asked = askHttp2(session, { ':path': PATH, ':method': 'POST' })
    const service = await coming
    await service.until('the request', ({ type }) => type === FRAME.headers)
    service.send(frames)
    const { status, code } = await asked
    assert.ok(status === 502 || code !== constants.NGHTTP2_NO_ERROR, `${name}: ${status} ${code}`)
    service.socket.destroy()
    await service.closed()
    session.destroy()
  }
})

test('a body that the service ends too early breaks the answer', async t => {
  const { port, next } = await startRawHttp2(t)
  const coming = next()
  const asked = beginHttp2(callHttp2(t, port), { ':path': PATH }, true)
  const service = await coming
  await service.until('the request', ({ type }) => type === FRAME.headers)
  service.send(
    answer({ ':status': '200', 'content-length': '5' }),
    frame(FRAME.data, END_STREAM, 1, Buffer.from('abc'))
  )
  assert.notEqual((await asked.answer).code, constants.NGHTTP2_NO_ERROR)
})
