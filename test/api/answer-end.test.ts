import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { test } from 'node:test'
import { onAnswerEnd } from '../../src/api/answers/answer-end.js'
import { eventually } from '../support/eventually.js'

test('each answer of a lost connection has ended, once, also one that waits behind another', async t => {
  const begun: string[] = []
  const ended: string[] = []
  const server = createServer(({ url = '', socket }, response) => {
    begun.push(url)
    onAnswerEnd(response, socket, () => ended.push(url))
    response.write('and more is to come')
  })
  server.listen(0, '127.0.0.1')
  t.after(() => server.close())
  await eventually('the server', () => server.listening)
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.write(['/first', '/second', '/third'].map(path => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''))
  await eventually('all requests', () => begun.length === 3)
  client.destroy()
  await eventually('all ends', () => ended.length === 3)
  assert.deepEqual(ended.sort(), begun.sort())
})
