import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { openHttp, WAYS } from '../support/network/open-http.js'
import { head } from '../support/network/raw-client.js'

/** What libuv reads at once. */
const READ_BYTES = 65_536

const get = (path: string) => head(`GET ${path} HTTP/1.1`, 'Host: localhost')
const post = (path: string, body: string) =>
  head(`POST ${path} HTTP/1.1`, 'Host: localhost', `Content-Length: ${body.length}`) + body

/** The texts of all answers that have come whole; each of them has a length, and no more lines than one. */
function textsIn(answers: string): string[] {
  return [...answers.matchAll(/\r\n\r\n\[(\d+)a*\]/g)].map(([, text = '']) => text)
}

for (const way of WAYS) {
  test(`over ${way}: a request that comes after hundreds of another connection is begun before most of them`, async t => {
    const begun: string[] = []
    const server = await openHttp(t, way, ({ url = '' }, response) => {
      begun.push(url)
      setImmediate(() => response.end())
    })
    const [flood, other] = [await server.connect(), await server.connect()]
    flood.resume()
    other.resume()
    flood.write(get('/flood').repeat(500))
    other.write(get('/other'))
    await eventually('all to be begun', () => begun.length === 501)
    assert.ok(begun.indexOf('/other') < 250, `${begun.indexOf('/other')} were before it`)
  })

  test(`over ${way}: a connection that sends without a pause gets all answers, in order, and one is under way at a time`, async t => {
    let underWay = 0
    let most = 0
    const server = await openHttp(t, way, async (request, response) => {
      underWay += 1
      most = Math.max(most, underWay)
      const { method, url = '' } = request
      let bytes = 0
      for await (const chunk of request) bytes += (chunk as Buffer).length
      const number = Number(url.slice(1))
      if (number % 7 === 0) await new Promise(setImmediate)
      underWay -= 1
      // Long ones make Node itself pause the connection.
      response.end(`[${method === 'POST' ? bytes : number}${'a'.repeat(number % 50 === 0 ? 50_000 : 0)}]`)
    })
    const client = await server.connect()
    let answers = ''
    client.setEncoding('latin1').on('data', (chunk: string) => {
      answers += chunk.replaceAll(/a{100,}/g, 'a')
    })
    const expected: string[] = []
    for (let batch = 0; batch < 50; batch += 1) {
      let text = ''
      for (let index = 0; index < 100; index += 1) {
        const number = batch * 100 + index
        text += number % 10 === 0 ? post(`/${number}`, 'b'.repeat(number)) : get(`/${number}`)
        expected.push(String(number))
      }
      client.write(text)
      await eventually('most answers', () => textsIn(answers).length > expected.length - 50 || client.closed)
    }
    await eventually('all answers', () => textsIn(answers).length === expected.length || client.closed)
    assert.deepEqual(textsIn(answers), expected)
    assert.equal(most, 1)
  })
}

test('connections of which requests wait take turns with one another', async t => {
  const begun: string[] = []
  const server = await openHttp(t, 'TCP', ({ url = '' }, response) => {
    begun.push(url)
    setImmediate(() => response.end())
  })
  const floods: Socket[] = []
  while (floods.length < 20) floods.push(await server.connect())
  const other = await server.connect()
  for (const flood of floods) flood.resume().write(get('/flood').repeat(80))
  other.resume().write(get('/other').repeat(5))
  await eventually('all to be begun', () => begun.length === 1_605)
  const before = begun.lastIndexOf('/other')
  assert.ok(before < 400, `${before} were before its last one`)
})

test('what waits is not begun for a caller that has gone', async t => {
  const begun: string[] = []
  const server = await openHttp(t, 'TCP', ({ url = '', socket }, response) => {
    begun.push(url)
    if (begun.length === 3) socket.destroy()
    setImmediate(() => response.end())
  })
  const client = await server.connect()
  client.write(get('/').repeat(400))
  await once(client.resume(), 'close')
  await new Promise(setImmediate)
  assert.equal(begun.length, 3)
})

test('what waits does not grow while a caller sends on and takes its answers', async t => {
  let begun = 0
  let read = 0
  let most = 0
  const opened = await openHttp(t, 'TCP', (_request, response) => {
    begun += 1
    setImmediate(() => response.end('a'.repeat(4_096)))
  })
  opened.server.prependListener('request', () => {
    read += 1
    most = Math.max(most, read - begun)
  })
  const client = (await opened.connect()).resume()
  const long = get(`/${'a'.repeat(200)}`)
  const few = long.repeat(100)
  for (let sent = 0; sent < 200; sent += 1) if (!client.write(few)) await once(client, 'drain')
  await eventually('all to be begun', () => begun === 20_000)
  const perRead = READ_BYTES / long.length
  assert.ok(most < 1.5 * perRead, `${most} waited`)
})

test('over TLS, what waits for a caller that takes nothing is answered once it does', async t => {
  let begun = 0
  const server = await openHttp(t, 'TLS', ({ url = '' }, response) => {
    begun += 1
    response.end(`[${url.slice(1)}${'a'.repeat(100_000)}]`)
  })
  const client = await server.connect()
  const expected: string[] = []
  for (let record = 0; record < 12; record += 1) {
    const paths = Array.from({ length: 36 }, (_, index) => String(record * 100 + index))
    client.write(paths.map(path => get(`/${path}`)).join(''))
    expected.push(...paths)
  }
  await eventually('the first ones to be begun', () => begun > 1)
  let answers = ''
  client.setEncoding('latin1').on('data', (chunk: string) => {
    answers += chunk.replaceAll(/a{100,}/g, 'a')
  })
  await eventually('all answers', () => textsIn(answers).length === expected.length || client.closed)
  assert.deepEqual(textsIn(answers), expected)
})

test('of requests that many connections send in the same moment, those of another source begin before most', async t => {
  const begun: string[] = []
  const server = await openHttp(t, 'TCP', ({ url = '' }, response) => {
    begun.push(url)
    const until = performance.now() + 1 // each takes as long as a usual one of which much is to be read
    while (performance.now() < until);
    response.end()
  })
  const crowd: Socket[] = []
  while (crowd.length < 300) crowd.push(await server.connect('127.0.0.2'))
  const others = [await server.connect('127.0.0.3'), await server.connect('127.0.0.4')]
  for (const client of crowd) client.resume().write(get('/crowd'))
  for (const client of others) client.resume().write(get('/other'))
  await eventually('all to be begun', () => begun.length === crowd.length + others.length)
  const before = begun.lastIndexOf('/other')
  assert.ok(before < crowd.length / 2, `${before} were before the last of them`)
})
