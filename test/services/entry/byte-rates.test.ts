import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FRAMED_STREAM_WINDOW_BYTES } from '../../../src/links/streams/stream-protocol.js'
import { ByteRate, PaidBytes } from '../../../src/services/entry/traffic/byte-rate.js'
import { eventually } from '../../support/eventually.js'
import { OK_HEAD, startEntryOverStreams } from '../../support/parts/entries-over-streams.js'
import { unboundTraffic } from '../../support/parts/service-entries.js'

test('bytes wait in turn until those before them were paid for', async () => {
  const rate = new ByteRate(() => 10_000)
  const order: string[] = []
  const giveUps = ['a', 'b', 'c', 'd'].map(name => rate.whenFree(100, () => order.push(name)))
  assert.deepEqual(order, ['a'])
  giveUps[2]?.()
  await eventually('the last', () => order.length === 3)
  assert.deepEqual(order, ['a', 'b', 'd'])
})

test('without a rate nothing waits, and a rate that is taken away lets all go', async () => {
  let perSecond = 1
  const rate = new ByteRate(() => perSecond)
  rate.pay(1_000_000)
  let hasRun = false
  rate.whenFree(1, () => {
    hasRun = true
  })
  assert.equal(hasRun, false)
  perSecond = 0
  await eventually('its turn', () => hasRun)
  assert.equal(rate.isFree, true)
})

test('the bytes of a request are paid for in parts, each once', async () => {
  const rate = new ByteRate(() => 100_000)
  let paid = 0
  const bytes = new PaidBytes(rate, count => {
    paid += count
  })
  for (let added = 0; added < 100; added += 1) bytes.add(50)
  assert.equal(bytes.isPaid, false)
  await eventually('all', () => bytes.isPaid)
  assert.equal(paid, 5_000)
})

const GET = 'GET /v1/relay/git/x HTTP/1.1\r\nHost: entry\r\n\r\n'

test('a rate holds the sender of an answer back, and not its bytes', async t => {
  let perSecond = 1
  const traffic = unboundTraffic({ rateOf: () => perSecond })
  const entry = await startEntryOverStreams(t, { entry: { traffic } })
  const caller = entry.call().send(GET)
  const { stream } = await entry.asked()
  const bytes = 4 * FRAMED_STREAM_WINDOW_BYTES
  stream.message(OK_HEAD(bytes))
  stream.write(Buffer.alloc(bytes, 0x2e))
  stream.end()
  await eventually('the window', () => caller.text.length > FRAMED_STREAM_WINDOW_BYTES - 20_000)
  const next = entry.call().send(GET)
  await eventually('the next request', () => traffic.open === 2)
  assert.ok(caller.text.length < FRAMED_STREAM_WINDOW_BYTES + 1_000, `${caller.text.length} bytes came`)
  assert.equal(entry.pair.taken.length, 1, 'the next request of the key waits')
  perSecond = 0
  await eventually('the whole answer', () => caller.text.length > bytes)
  const asked = await entry.asked()
  asked.stream.message(OK_HEAD(0))
  asked.stream.end()
  await next.until(/200 OK/)
})

test('a rate holds the sender of a request back', async t => {
  let perSecond = 1
  const traffic = unboundTraffic({ rateOf: () => perSecond })
  const entry = await startEntryOverStreams(t, { entry: { traffic } })
  const bytes = 8 * 1024 * 1024
  const caller = entry.call()
  caller.send(`POST /v1/relay/git/x HTTP/1.1\r\nHost: entry\r\nContent-Length: ${bytes}\r\n\r\n`)
  const { received, stream } = await entry.asked()
  caller.send(Buffer.alloc(bytes, 0x2e))
  await eventually('the beginning', () => received.bytes > 0)
  assert.ok(received.bytes < bytes / 8, `${received.bytes} bytes came`)
  perSecond = 0
  await eventually('the whole body', () => received.hasEnded)
  assert.equal(received.bytes, bytes)
  stream.message(OK_HEAD(0))
  stream.end()
  await caller.until(/200 OK/)
})

test('a caller that leaves is noticed while its body is not paid for', async t => {
  const traffic = unboundTraffic({ rateOf: () => 1 })
  const entry = await startEntryOverStreams(t, { entry: { traffic } })
  const caller = entry.call().send('POST /v1/relay/git/x HTTP/1.1\r\nHost: entry\r\nContent-Length: 3\r\n\r\nabc')
  const { received } = await entry.asked()
  await eventually('the body', () => received.hasEnded)
  caller.socket.destroy()
  await eventually('the end', () => traffic.open === 0)
})
