import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../../support/eventually.js'
import { ownFolder, serviceConfig, startOwnServices } from '../../support/parts/own-services.js'
import { until } from '../../support/parts/stream-pairs.js'

const GET = ['GET /x HTTP/1.1', 'Host: relay']
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

test('services that stay the same keep their requests and replicas, while others come, change and go', async t => {
  const { own, keys, open, next, url } = await startOwnServices(t)
  const [stays, changes, goes] = ['stays', 'changes', 'goes'].map(key => serviceConfig({ key, url }))
  assert.ok(stays !== undefined && changes !== undefined && goes !== undefined)
  await own.replace([stays, changes, goes])
  const replica = keys.under('stays')[0]
  const requests = []
  for (const key of ['stays', 'changes', 'goes']) {
    const { received } = open(GET, { key })
    const service = await next()
    await service.until(/\r\n\r\n$/)
    service.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok')
    await until(() => assert.match(received.text, /ok$/))
    requests.push({ received, service })
  }
  await own.replace([
    { ...stays },
    { ...changes, url: `${url}/new`, type: 'x-new' },
    serviceConfig({ key: 'comes', url, annotations: { description: 'a new one' } })
  ])
  assert.deepEqual([...keys.all()].map(({ key }) => key).sort(), ['changes', 'comes', 'stays'])
  assert.equal(keys.under('stays')[0], replica)
  assert.equal(keys.under('changes')[0]?.type, 'x-new')
  assert.deepEqual(keys.under('comes')[0]?.annotations, { description: 'a new one' })
  const [one, two, three] = requests
  assert.ok(one !== undefined && two !== undefined && three !== undefined)
  await until(() => assert.match(three.received.reset?.message ?? '', /no answer from the service/))
  for (const { received, service } of [one, two]) {
    service.send('ay')
    await until(() => assert.match(received.text, /okay$/))
  }
  open(GET, { key: 'changes' })
  await (await next()).until(/^GET \/new\/x /)
  const { received } = open(GET, { key: 'goes' })
  await until(() => assert.match(received.reset?.message ?? '', /node-1: no service is offered under goes/))
})

test('a service whose annotations alone have changed keeps its connections', async t => {
  const { own, keys, open, next, url } = await startOwnServices(t)
  await own.replace([serviceConfig({ url })])
  const { received } = open(GET)
  const service = await next()
  await service.until(/\r\n\r\n$/)
  service.send(OK)
  await until(() => assert.match(received.text, /ok$/))
  const seen: string[] = []
  keys.onChange((event, { annotations }) => void seen.push(`${event} ${JSON.stringify(annotations)}`))
  await own.replace([serviceConfig({ url, annotations: { uiUrl: 'https://builds.example.com' } })])
  assert.deepEqual(seen, ['removed undefined', 'added {"uiUrl":"https://builds.example.com"}'])
  service.text = ''
  open(GET)
  await service.until(/\r\n\r\n$/)
})

test('a relay reaches a service of its own as it reaches others, with bodies both ways', async t => {
  const { own, keys, next, url } = await startOwnServices(t)
  await own.replace([serviceConfig({ url })])
  const way = keys.pick('builds')
  assert.ok(way !== undefined)
  const { formatOpening } = await import('../../../src/services/streams/open-line.js')
  const { listenTo } = await import('../../support/parts/stream-pairs.js')
  const line = { kind: 'http', key: 'builds', base: '', origin: 'http://relay', body: 'length' }
  const head = Buffer.from('PUT /x HTTP/1.1\r\nHost: relay\r\nContent-Length: 4\r\n\r\n')
  const stream = await way.open(formatOpening(line, head))
  const received = listenTo(stream)
  assert.equal(way.streams, 1)
  stream.write(Buffer.from('da'))
  stream.write(Buffer.from('ta'))
  stream.end()
  const service = await next()
  await service.until(/\r\n\r\ndata$/)
  service.send(OK)
  await until(() => assert.match(received.text, /200 OK[\s\S]*ok$/))
  await eventually('the end of the stream', () => way.streams === 0)
  own.close()
  assert.equal(way.isOpen, false)
  assert.equal(keys.size, 0)
  assert.throws(() => way.open(formatOpening(line, head)), /not offered any more/)
})

for (const [what, head, facts, body] of [
  ['a request without a body', GET, {}, ''],
  [
    'a request that waits for a go-ahead',
    ['PUT /x HTTP/1.1', 'Host: relay', 'Expect: 100-continue', 'Content-Length: 4'],
    { body: 'length' },
    ''
  ],
  ['a whole body', ['PUT /x HTTP/1.1', 'Host: relay', 'Content-Length: 4'], { body: 'length' }, 'data'],
  ['HEAD', ['HEAD /x HTTP/1.1', 'Host: relay'], {}, '']
] as const) {
  test(`a service that does not answer ${what} within response_timeout is answered for with 504`, async t => {
    const { own, open, next, url } = await startOwnServices(t)
    await own.replace([serviceConfig({ url, responseTimeoutMs: 50 })])
    const { stream, received } = open(head, facts)
    if (body !== '') stream.write(Buffer.from(body))
    if (!head.some(text => text.startsWith('Expect'))) stream.end()
    const service = await next()
    await until(() => assert.match(received.text, /HTTP\/1.1 504/))
    await until(() => assert.ok(received.hasEnded, 'the answer did not end'))
    assert.equal(/the service did not answer within 50ms\n$/.test(received.text), !head[0]?.startsWith('HEAD'))
    await service.closed()
  })
}

test('response_timeout counts neither while the caller sends, nor once the answer has begun', async t => {
  const { own, open, next, url } = await startOwnServices(t)
  await own.replace([serviceConfig({ url, responseTimeoutMs: 1 })])
  const { stream, received } = open(['PUT /x HTTP/1.1', 'Host: relay', 'Content-Length: 4'], { body: 'length' })
  const service = await next()
  await service.until(/\r\n\r\n$/)
  stream.write(Buffer.from('da'))
  await service.until(/da$/)
  service.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok')
  await until(() => assert.match(received.text, /ok$/))
  stream.write(Buffer.from('ta'))
  stream.end()
  await service.until(/data$/)
  service.send('ay')
  await until(() => assert.match(received.text, /200 OK[\s\S]*okay$/))
})

test('no byte that goes upward, and no line of the log, has a credential', async t => {
  const { own, open, next, url, lines, sent } = await startOwnServices(t)
  const path = join(await ownFolder(t), 'secret')
  const secret = 'the-secret-of-the-edge'
  await writeFile(path, secret)
  const bearer = { type: 'bearer', place: { kind: 'file', path } } as const
  await own.replace([serviceConfig({ url, credentials: bearer })])
  for (const answer of [
    OK,
    'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nBroken\r\n\r\n',
    ''
  ]) {
    const { received } = open(GET)
    const service = await next()
    await service.until(new RegExp(`Bearer ${secret}\r\n`))
    service.send(`${answer}`)
    service.socket.end()
    await until(() => assert.ok(received.hasEnded || received.reset !== undefined, 'no end'))
  }
  await writeFile(path, `${secret}\nof two lines`)
  await until(() => assert.match(lines.join('\n'), /more than one line/))
  const all = `${Buffer.concat(sent).toString('latin1')}\n${lines.join('\n')}`
  assert.match(all, /200 OK/)
  assert.ok(!all.includes(secret), all)
})
