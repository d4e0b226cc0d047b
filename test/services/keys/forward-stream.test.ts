import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { FramedStream } from '../../../src/links/streams/framed-stream.js'
import { CONNECTION_WINDOW_BYTES, MAX_DATA_BYTES, RESET } from '../../../src/links/streams/stream-protocol.js'
import { forwardStreams, MAX_STREAM_HOPS } from '../../../src/services/keys/forward-stream.js'
import type { ServiceWay } from '../../../src/services/keys/replica.js'
import { ServiceKeys } from '../../../src/services/keys/service-keys.js'
import { formatOpening, type OpenLine, parseOpening } from '../../../src/services/streams/open-line.js'
import { StreamKinds } from '../../../src/services/streams/stream-kinds.js'
import { connectionPair, listenTo, type StreamPair, until } from '../../support/parts/stream-pairs.js'

type Open = ServiceWay['open']

/** A relay that forwards what comes from `above` to the replicas of `keys`. */
async function startRelay(t: TestContext) {
  const above = await connectionPair(t)
  const keys = new ServiceKeys()
  above.take(new StreamKinds('relay-1').on('http', forwardStreams({ selfId: 'relay-1', keys })).take)
  const add = (name: string, open: Open, levels = 0) => {
    const way: ServiceWay = { name, isOpen: true, streams: 0, open }
    const path = Array.from({ length: levels }, () => 'relay')
    keys.add({ key: 'git', id: name, path, remoteAddress: 'x', connectedAtMs: 0, way })
  }
  const ask = (line: Partial<OpenLine> = {}, rest = '') =>
    listenTo(above.upper.open(formatOpening({ kind: 'http', key: 'git', ...line }, Buffer.from(rest))))
  return { above: above.upper, keys, add, ask }
}

const over =
  (pair: StreamPair): Open =>
  payload =>
    pair.upper.open(payload)

test('a stream goes on to a replica of its key, with one hop more, and both are joined', async t => {
  const { ask, add } = await startRelay(t)
  const below = await connectionPair(t)
  add('one', over(below))
  const asked = ask({ prefix: '/p' }, 'GET / HTTP/1.1')
  asked.stream?.write(Buffer.from('body'))
  asked.stream?.end()
  await until(() => assert.equal(below.taken[0]?.received.hasEnded, true))
  const [taken] = below.taken
  const { line, rest } = parseOpening(Buffer.from(taken?.payload ?? ''))
  assert.deepEqual([line, rest.toString()], [{ kind: 'http', key: 'git', prefix: '/p', hops: 1 }, 'GET / HTTP/1.1'])
  assert.equal(taken?.received.text, 'body')
  taken?.stream.message(Buffer.from('head'))
  taken?.stream.write(Buffer.from('answer'))
  taken?.stream.end()
  await until(() => assert.equal(asked.hasEnded, true))
  assert.equal(asked.text, '<head>answer')
})

test('a refusal before any answer leads to the next way, nearest first, with all that came; the last one is told', async t => {
  const { ask, add } = await startRelay(t)
  const [first, last] = await Promise.all([connectionPair(t), connectionPair(t)])
  const tried: string[] = []
  first.take(stream => {
    tried.push('refuses')
    listenTo(stream)
    setImmediate(() => stream.reset(RESET.refused, 'relay-2: no client is registered under git'))
  })
  add('closed', () => {
    tried.push('closed')
    throw new Error('the connection is closed')
  })
  add(
    'lost',
    () => {
      tried.push('lost')
      return Promise.reject(new Error('no lane came'))
    },
    1
  )
  add('refuses', over(first), 2)
  add(
    'answers',
    payload => new Promise<FramedStream>(resolve => setImmediate(() => resolve(last.upper.open(payload)))),
    3
  )
  const asked = ask()
  asked.stream?.write(Buffer.from('bo'))
  asked.stream?.message(Buffer.from('trailers'))
  asked.stream?.end()
  await until(() => assert.equal(last.taken[0]?.received.hasEnded, true))
  assert.deepEqual([tried, last.taken[0]?.received.text], [['closed', 'lost', 'refuses'], 'bo<trailers>'])
  last.taken[0]?.stream.reset(RESET.refused, 'relay-3: no client is registered under git')
  await until(() =>
    assert.deepEqual(
      [asked.reset?.code, asked.reset?.message],
      [RESET.refused, 'relay-3: no client is registered under git']
    )
  )
})

test('what broke after an answer, or otherwise than by a refusal, is told and not tried again', async t => {
  const { ask, add } = await startRelay(t)
  const [near, far] = await Promise.all([connectionPair(t), connectionPair(t)])
  add('near', over(near))
  add('far', over(far), 1)
  const [broken, late] = [ask(), ask()]
  await until(() => assert.equal(near.taken.length, 2))
  near.taken[0]?.stream.reset(RESET.broken, 'one: the service broke off')
  near.taken[1]?.stream.message(Buffer.from('head'))
  near.taken[1]?.stream.reset(RESET.refused, 'one: too late')
  await until(() => assert.deepEqual([broken.reset?.code, late.reset?.code], [RESET.broken, RESET.refused]))
  assert.deepEqual(
    [broken.reset?.message, late.reset?.message, late.text],
    ['one: the service broke off', 'one: too late', '<head>']
  )
  assert.equal(far.taken.length, 0)
})

test('a large body goes on before the answer, and is not kept whole', async t => {
  const { ask, add } = await startRelay(t)
  const [below, other] = await Promise.all([connectionPair(t), connectionPair(t)])
  add('one', over(below))
  add('other', over(other), 1)
  const asked = ask()
  let written = 0
  for (; written < 1_000_000; written += 10_000) asked.stream?.write(Buffer.alloc(10_000, 1))
  asked.stream?.end()
  await until(() => assert.equal(below.taken[0]?.received.hasEnded, true))
  assert.equal(below.taken[0]?.received.bytes, written)
  below.taken[0]?.stream.reset(RESET.refused, 'one: no')
  await until(() => assert.equal(asked.reset?.message, 'one: no'))
  assert.equal(other.taken.length, 0, 'the body is gone')
})

test('bodies that wait for their answers hold none of the window that all streams share', async t => {
  const { ask, add } = await startRelay(t)
  const below = await connectionPair(t)
  add('one', over(below))
  const bodies = Math.ceil(CONNECTION_WINDOW_BYTES / MAX_DATA_BYTES) + 10 // each may send a frame in its turn
  for (let sent = 0; sent < bodies; sent += 1) ask().stream?.write(Buffer.alloc(50_000, 1))
  const last = ask()
  last.stream?.write(Buffer.alloc(20_000, 2))
  await until(() => assert.equal(below.taken[bodies]?.received.bytes, 20_000))
})

test('a caller that leaves while a way is opened resets what is opened then', async t => {
  const { ask, add, above } = await startRelay(t)
  const below = await connectionPair(t)
  let open: (() => void) | undefined
  add(
    'one',
    payload =>
      new Promise<FramedStream>(resolve => {
        open = () => resolve(below.upper.open(payload))
      })
  )
  const asked = ask()
  await until(() => assert.ok(open !== undefined, 'open'))
  asked.stream?.reset(RESET.cancelled, 'enough')
  const next = ask({ kind: 'other' })
  await until(() => assert.ok(next.reset !== undefined, 'reset'))
  open?.()
  await until(() => assert.equal(below.taken[0]?.received.reset?.code, RESET.cancelled))
  assert.equal(above.count, 0)
})

for (const [what, line, reason] of [
  ['nobody serves the key', {}, /^relay-1: no client is registered under git$/],
  ['it has no key', { key: 7 }, /^relay-1: a stream without a key/],
  ['it has no number of hops', { hops: 'x' }, /^relay-1: a stream without its hops/],
  ['it has passed too many relays', { hops: MAX_STREAM_HOPS }, /^relay-1: .*16 relays: their links lead in a circle/],
  ['its kind is unknown', { kind: 'x\ny' }, /^relay-1: streams of the kind x\?y are not taken here/]
] as const) {
  test(`a stream is refused where ${what}`, async t => {
    const { ask } = await startRelay(t)
    const asked = ask(line)
    await until(() => assert.equal(asked.reset?.code, RESET.refused))
    assert.match(asked.reset?.message ?? '', reason)
  })
}

for (const [what, payload] of [
  ['no line', 'x'],
  ['no JSON', 'x\n'],
  ['a list', '[1]\n'],
  ['null', 'null\n'],
  ['no kind', '{}\n'],
  ['too long a line', `{"kind":"${'x'.repeat(9_000)}"}\n`]
] as const) {
  test(`a stream that begins with ${what} is refused`, async t => {
    const { above } = await startRelay(t)
    const asked = listenTo(above.open(Buffer.from(payload)))
    await until(() =>
      assert.match(asked.reset?.message ?? '', /^relay-1: a stream that cannot be read: its first line/)
    )
  })
}
