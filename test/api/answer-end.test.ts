import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect as connectHttp2, constants, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { answerHasEnded, onAnswerEnd } from '../../src/api/answers/ends/answer-end.js'
import { eventually } from '../support/eventually.js'
import { openHttp, WAYS } from '../support/network/open-http.js'
import { head } from '../support/network/raw-client.js'

const get = (path: string) => head(`GET ${path} HTTP/1.1`, 'Host: localhost')

/** The end of a caller that may only have shut down its side shows when it is written to. */
function writeOn(response: ServerResponse): void {
  if (!response.destroyed) response.write('and more is to come', () => setImmediate(writeOn, response))
}

for (const way of WAYS) {
  test(`over ${way}: each answer that has begun ends once, also where its connection is lost with others waiting`, async t => {
    const begun: string[] = []
    const ended: string[] = []
    const server = await openHttp(t, way, ({ url = '' }, response) => {
      begun.push(url)
      onAnswerEnd(response, () => ended.push(url))
      if (url === '/second') writeOn(response)
      else response.end()
    })
    const client = await server.connect()
    client.write(['/first', '/second', '/third'].map(get).join(''))
    await eventually('the second one', () => begun.length === 2)
    client.destroy()
    await eventually('both ends', () => ended.length === 2)
    assert.deepEqual(ended, begun)
    assert.deepEqual(begun, ['/first', '/second'])
  })
}

test('an answer whose connection is lost already has ended', async t => {
  const ended: string[] = []
  const server = await openHttp(t, 'TCP', ({ url = '', socket }, response) => {
    response.once('close', () => onAnswerEnd(response, () => ended.push(url)))
    socket.destroy()
  })
  const client = await server.connect()
  client.on('error', () => undefined).write(get('/lost'))
  await eventually('the end', () => ended.length === 1)
})

test('an answer over a link whose caller has left before is one that has ended', async t => {
  const ended: string[] = []
  const server = createHttp2Server(({ url }, response) => {
    response.stream.once('close', () => {
      assert.ok(answerHasEnded(response))
      onAnswerEnd(response as unknown as ServerResponse, () => ended.push(url))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.after(() => {
    session.destroy()
    server.close()
  })
  const stream = session.request({ ':path': '/left' })
  stream.on('error', () => undefined)
  await once(server, 'stream')
  stream.close(constants.NGHTTP2_CANCEL)
  await eventually('the end', () => ended.length === 1)
})
