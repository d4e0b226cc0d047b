import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { endParsing } from '../../src/network/end-parsing.js'
import { eventually } from '../support/eventually.js'
import { openHttp, WAYS } from '../support/network/open-http.js'
import { head } from '../support/network/raw-client.js'

const get = head('GET / HTTP/1.1', 'Host:a')

test('a connection that is ended by each of its requests is so once, and its parser serves the next one', async t => {
  const warnings: Error[] = []
  const note = (warning: Error) => void warnings.push(warning)
  process.on('warning', note)
  t.after(() => process.off('warning', note))
  const { connect } = await openHttp(t, 'TCP', (request, response) => {
    if (request.url === '/') return void response.end('[]')
    const before = request.socket.listenerCount('close')
    for (let times = 0; times < 20; times += 1) endParsing(request.socket)
    added = request.socket.listenerCount('close') - before
  })
  let added: number | undefined
  const ended = await connect()
  ended.write(head('GET /end HTTP/1.1', 'Host:a'))
  await closed(ended)
  assert.equal(added, 1)
  const next = await connect()
  let text = ''
  next.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
  })
  next.write(get)
  await eventually('an answer', () => text.endsWith('[]'))
  assert.deepEqual(warnings, [])
})

async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket.resume(), 'close')
}

for (const way of WAYS) {
  test(`over ${way}: nothing more is read of a connection that was closed before it is ended`, async t => {
    let read = 0
    const { server, connect } = await openHttp(t, way, () => undefined)
    server.prependListener('request', ({ socket }) => {
      read += 1
      socket.destroy()
      endParsing(socket)
    })
    const client = await connect()
    client.write(get.repeat(100))
    await closed(client)
    assert.equal(read, 1)
  })
}
