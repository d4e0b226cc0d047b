import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FramedStream } from '../../../src/links/streams/framed-stream.js'
import { eventually } from '../../support/eventually.js'
import { answerHead, OK_HEAD, startEntryOverStreams } from '../../support/parts/entries-over-streams.js'
import { until } from '../../support/parts/stream-pairs.js'

const request = (method = 'GET', fields = '') => `${method} /v1/relay/git/x HTTP/1.1\r\nHost: entry\r\n${fields}\r\n`
const INTERIM = Buffer.from('IHTTP/1.1 100 Continue\r\n')
const trailers = (text = '') => Buffer.from(`T${text}\r\n`)
const CHUNKED = answerHead(2, 'HTTP/1.1 200 OK\r\n')
const SECOND = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'

type Play = (stream: FramedStream) => void
const head =
  (body: 0 | 1 | 2 | 3, text: string): Play =>
  stream =>
    stream.message(answerHead(body, text))
const all =
  (...plays: Play[]): Play =>
  stream => {
    for (const play of plays) play(stream)
  }
const message =
  (payload: Buffer): Play =>
  stream =>
    stream.message(payload)
const data =
  (text: string): Play =>
  stream =>
    stream.write(Buffer.from(text))
const end: Play = stream => stream.end()

for (const [what, play, reason, method] of [
  ['data without a head', data(SECOND), /no head/],
  ['trailers without a head', message(trailers()), /trailers/],
  ['a length in the head, and another body', head(2, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n'), /another body/],
  ['a length in the head of none', head(0, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n'), /another body/],
  ['no length where its message names one', head(1, 'HTTP/1.1 200 OK\r\n'), /another body/],
  ['a body of 204', head(1, 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n'), /another body/],
  ['a body of HEAD', head(1, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n'), /another body/, 'HEAD'],
  ['chunks of HEAD', head(2, 'HTTP/1.1 200 OK\r\n'), /another body/, 'HEAD'],
  ['two lengths', head(1, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n'), /more than one/],
  ['a coding', head(2, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n'), /one connection/],
  ['a header of the connection', head(1, 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n'), /one conn/],
  ['a header of ours', head(1, 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTreeline-X: 1\r\n'), /one connection/],
  ['two heads in one', head(1, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n'), /name/],
  ['a bare LF', head(1, 'HTTP/1.1 200 OK\r\nA: b\nX: y\r\nContent-Length: 0\r\n'), /0x0a/],
  ['a folded line', head(1, 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n'), /folding/],
  ['no end of a line', head(2, 'HTTP/1.1 200 OK\r\nA: b'), /cannot be read/],
  ['HTTP/1.0', head(2, 'HTTP/1.0 200 OK\r\n'), /another version/],
  ['a 100 as the answer', head(0, 'HTTP/1.1 100 Continue\r\n'), /status 100/],
  ['a 101 that nobody asked for', head(3, 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\n'), /nobody asked/],
  ['a 101 with a body', head(2, 'HTTP/1.1 101 Switching\r\n'), /status 101/],
  ['a 200 as raw bytes', head(3, 'HTTP/1.1 200 OK\r\n'), /status 200/],
  ['1xx without end', all(...Array.from({ length: 100 }, () => message(INTERIM))), /more than 32/],
  ['an unknown message', message(Buffer.from('?')), /unknown/],
  ['the end alone', end, /without an answer/]
] as const) {
  test(`${what} from below is a 502, and the caller's next request is answered`, async t => {
    const entry = await startEntryOverStreams(t)
    const caller = entry.call().send(request(method))
    play((await entry.asked()).stream)
    const text = await caller.until(method === 'HEAD' ? /\r\n\r\n$/ : /\r\n\r\n.+\n$/)
    assert.match(text, /^HTTP\/1\.1 502 Bad Gateway\r\n/)
    if (method !== 'HEAD') assert.match(text, reason)
    assert.equal(text.match(/HTTP\/1/g)?.length, 1)
    caller.text = ''
    caller.send(request())
    const { stream } = await entry.asked()
    stream.message(OK_HEAD(2))
    stream.write(Buffer.from('ok'))
    stream.end()
    await caller.until(/ok$/)
    await until(() => assert.equal(entry.pair.upper.count, 0))
  })
}

for (const [what, play] of [
  ['more bytes than its length', all(message(OK_HEAD(2)), data(`ok${SECOND}`))],
  ['fewer bytes than its length', all(message(OK_HEAD(5)), data('ok'), end)],
  ['data of 204', all(head(0, 'HTTP/1.1 204 No Content\r\n'), data(SECOND))],
  ['a second head', all(message(OK_HEAD(2)), message(OK_HEAD(0)))],
  ['a second head behind the body', all(message(OK_HEAD(0)), message(OK_HEAD(0)))],
  ['1xx behind its head', all(message(OK_HEAD(2)), message(INTERIM))],
  ['data behind the trailers', all(message(CHUNKED), message(trailers('A: b\r\n')), data(SECOND))],
  ['trailers twice', all(message(CHUNKED), message(trailers()), message(trailers()))],
  ['trailers that frame', all(message(CHUNKED), message(trailers('Content-Length: 1\r\n')))],
  ['trailers of ours', all(message(CHUNKED), message(trailers('treeline-a: 1\r\n')))]
] as const) {
  test(`an answer with ${what} breaks the caller's connection off`, async t => {
    const entry = await startEntryOverStreams(t)
    const caller = entry.call().send(request())
    play((await entry.asked()).stream)
    const text = await caller.closed()
    assert.equal(caller.hasEnded, false, 'it was reset')
    assert.ok((text.match(/HTTP\/1/g)?.length ?? 0) <= 1, text)
    await until(() => assert.equal(entry.pair.upper.count, 0))
  })
}

const anyPlay: fc.Arbitrary<Play> = fc.oneof(
  fc
    .tuple(fc.constantFrom<(0 | 1 | 2 | 3)[]>(0, 1, 2, 3), fc.constantFrom(100, 101, 200, 204, 304), fc.nat(3))
    .map(([body, status, length]) =>
      head(body, `HTTP/1.1 ${status} X\r\n${length > 0 ? `Content-Length: ${length - 1}\r\n` : ''}`)
    ),
  fc.constantFrom('a', 'bb').map(data),
  fc.constantFrom(INTERIM, trailers(), trailers('A: b\r\n')).map(message),
  fc.constant(end)
)

test('whatever comes from below, the caller gets one whole answer, or its connection breaks off', async t => {
  const entry = await startEntryOverStreams(t)
  const method = fc.constantFrom('GET', 'HEAD')
  await fc.assert(
    fc.asyncProperty(method, fc.array(anyPlay, { minLength: 1, maxLength: 6 }), async (name, plays) => {
      const caller = entry.call().send(request(name, 'Connection: close\r\n'))
      const { stream } = await entry.asked()
      all(...plays, end)(stream)
      stream.reset(3, 'over')
      await eventually('the end', () => caller.hasEnded || caller.isClosed)
      caller.socket.destroy()
      const { text, hasEnded } = caller
      const [, status = '', fields = '', body = ''] =
        /^HTTP\/1\.1 (\d+) [^\r]*\r\n((?:[^\r]+\r\n)*)\r\n([\s\S]*)$/.exec(text) ?? []
      if (!hasEnded) return
      assert.ok(Number(status) >= 200, text)
      const isBare = name === 'HEAD' || status === '204' || status === '304'
      const length = /^Content-Length: (\d+)\r\n/im.exec(fields)?.[1]
      if (isBare) assert.equal(body, '', text)
      else if (length !== undefined) assert.equal(body.length, Number(length), text)
      else assert.match(body, /^(?:[12]\r\n(?:a|bb)\r\n)*0\r\n(?:A: b\r\n)?\r\n$/, text)
    }),
    { numRuns: 60 }
  )
})
