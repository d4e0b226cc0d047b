import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServedRequest } from '../../../src/services/entry/traffic/served-request.js'
import { eventually } from '../../support/eventually.js'
import { answerHead, OK_HEAD, startEntryOverStreams } from '../../support/parts/entries-over-streams.js'
import { unboundTraffic } from '../../support/parts/service-entries.js'
import { until } from '../../support/parts/stream-pairs.js'

const get = (key = 'git', fields = '') => `GET /v1/relay/${key}/x?secret=1 HTTP/1.1\r\nHost: entry\r\n${fields}\r\n`
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: any\r\n'
const SWITCH = answerHead(3, 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: any\r\n')

test('requests of a key beyond the bound are a 429, until one of them is over', async t => {
  const traffic = unboundTraffic({ maxRequestsOfKey: 2 })
  const entry = await startEntryOverStreams(t, { entry: { traffic } })
  const [first] = [entry.call().send(get()), entry.call().send(get())]
  const asked = await entry.asked()
  await entry.asked()
  const refused = entry.call().send(get())
  assert.match(await refused.until(/later\n$/), /^HTTP\/1\.1 429 Too Many Requests\r\n[\s\S]*\r\nRetry-After: 1\r\n/)
  assert.match(refused.text, /2 requests of the service git are under way/)
  entry.call().send(get('other'))
  await entry.asked()
  asked.stream.message(OK_HEAD(0))
  asked.stream.end()
  await first?.until(/\r\n\r\n$/)
  refused.text = ''
  refused.send(get())
  await entry.asked()
  assert.equal(traffic.open, 3)
})

test('a request of a source with many makes room for a source that has none', () => {
  const traffic = unboundTraffic({ maxRequestsOfKey: 3 })
  const ended: string[] = []
  const enter = (remoteAddress: string, name: string) => {
    const request = traffic.begin({ method: 'GET', target: '/', remoteAddress, givenId: undefined })
    const end = () => {
      ended.push(name)
      request.over(false)
    }
    return request.enter('git', false, { end, allow: () => undefined, flowChanged: () => undefined })
  }
  for (const name of ['a', 'b', 'c']) assert.equal(enter('192.0.2.1', name), undefined)
  assert.equal(enter('192.0.2.1', 'd')?.status, 429)
  assert.equal(enter('192.0.2.2', 'e'), undefined)
  assert.deepEqual(ended, ['a'])
  assert.equal(enter('192.0.2.2', 'f')?.status, 429)
})

test('upgrades beyond the bound are a 503, and do not count among the requests of their key', async t => {
  const traffic = unboundTraffic({ maxRequestsOfKey: 1, maxUpgrades: 2 })
  const entry = await startEntryOverStreams(t, { entry: { traffic } })
  const callers = []
  for (let count = 0; count < 2; count += 1) {
    const caller = entry.call().send(get('git', UPGRADE))
    ;(await entry.asked()).stream.message(SWITCH)
    await caller.until(/101[\s\S]*\r\n\r\n$/)
    callers.push(caller)
  }
  assert.match(
    await entry
      .call()
      .send(get('git', UPGRADE))
      .until(/later\n$/),
    /^HTTP\/1\.1 503 /
  )
  entry.call().send(get())
  const refusedOffer = await entry.asked()
  refusedOffer.stream.message(OK_HEAD(0))
  refusedOffer.stream.end()
  callers[0]?.socket.resetAndDestroy()
  await until(() => assert.equal(traffic.upgrades, 1))
  const again = entry.call().send(get('git', UPGRADE))
  const offer = await entry.asked()
  assert.equal(traffic.upgrades, 2)
  offer.stream.message(OK_HEAD(0))
  offer.stream.end()
  await again.until(/200 OK/)
  await until(() => assert.equal(traffic.upgrades, 1))
})

test('requests beyond the bound of those that wait for a link are a 503', async t => {
  const traffic = unboundTraffic({ maxWithoutWay: 2 })
  const entry = await startEntryOverStreams(t, { entry: { traffic, open: () => new Promise(() => undefined) } })
  const waiting = [entry.call().send(get()), entry.call().send(get())]
  await eventually('both', () => traffic.open === 2)
  assert.match(
    await entry
      .call()
      .send(get())
      .until(/later\n$/),
    /^HTTP\/1\.1 503 [\s\S]*2 requests wait for the links/
  )
  waiting[0]?.socket.destroy()
  await eventually('room', () => traffic.open === 1)
  entry.call().send(get())
  await eventually('the next one', () => traffic.open === 2)
})

test('what a request was is told when it is over, without its query', async t => {
  const served: ServedRequest[] = []
  const traffic = unboundTraffic({ onServed: request => served.push(request) })
  const entry = await startEntryOverStreams(t, { entry: { traffic } })
  const caller = entry.call().send('POST /v1/relay/git/x?a=b HTTP/1.1\r\nHost: e\r\nContent-Length: 3\r\n\r\nabc')
  const { stream } = await entry.asked()
  stream.message(OK_HEAD(2))
  stream.write(Buffer.from('ok'))
  stream.end()
  await caller.until(/ok$/)
  caller.send('GET /elsewhere HTTP/1.1\r\nHost: e\r\nX-Request-Id: mine\r\n\r\n')
  await caller.until(/404/)
  entry.call().send(get()).socket.end()
  await until(() => assert.equal(served.length, 3))
  const [posted, refused, left] = served
  const { firstByteMs, durationMs, ...facts } = posted ?? {}
  assert.ok(firstByteMs !== undefined && durationMs !== undefined && firstByteMs <= durationMs)
  assert.deepEqual(facts, {
    id: 'id',
    method: 'POST',
    path: '/v1/relay/git/x',
    address: '127.0.0.1',
    key: 'git',
    hop: undefined,
    status: 200,
    isWhole: true,
    received: 3,
    sent: 2
  })
  assert.deepEqual([refused?.id, refused?.status, refused?.key, refused?.isWhole], ['mine', 404, undefined, false])
  assert.deepEqual([left?.status, left?.isWhole], [undefined, false])
  assert.deepEqual(traffic.bytes, { received: 3, sent: 2 })
})

test('an upgraded connection that its service ended counts as whole, and one that the caller left does not', async t => {
  const served: ServedRequest[] = []
  const entry = await startEntryOverStreams(t, {
    entry: { traffic: unboundTraffic({ onServed: request => served.push(request) }) }
  })
  for (const isEnded of [true, false]) {
    const caller = entry.call().send(get('git', UPGRADE))
    const { stream } = await entry.asked()
    stream.message(SWITCH)
    await caller.until(/101[\s\S]*\r\n\r\n$/)
    if (isEnded) {
      stream.end()
      await caller.closed()
    } else caller.socket.resetAndDestroy()
    await until(() => assert.equal(served.length, isEnded ? 1 : 2))
  }
  assert.deepEqual(
    served.map(({ status, isWhole }) => [status, isWhole]),
    [
      [101, true],
      [101, false]
    ]
  )
})
