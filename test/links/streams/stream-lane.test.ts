import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Dialer } from '../../../src/links/lower/dialer.js'
import { LowerLink } from '../../../src/links/lower/lower-link.js'
import type { FramedStream, StreamSink } from '../../../src/links/streams/framed-stream.js'
import type { TakeStream } from '../../../src/links/streams/stream-connection.js'
import { RESET } from '../../../src/links/streams/stream-protocol.js'
import type { UpperLink } from '../../../src/links/upper/upper-link.js'
import { silentLogger } from '../../../src/values/logging/logger.js'
import { eventually } from '../../support/eventually.js'
import { startUpperSide } from '../../support/parts/links.js'

/** Answers each stream with what it was opened with, and ends it. */
const echo: TakeStream = (stream, payload) => {
  stream.sink = sink({})
  stream.write(payload)
  stream.end()
}

function sink(own: Partial<StreamSink>): StreamSink {
  const nothing = () => undefined
  return { onMessage: nothing, onData: nothing, onEnd: nothing, onReset: nothing, onDrain: nothing, ...own }
}

async function startLink(t: TestContext, takeStream: TakeStream | undefined) {
  const upper = await startUpperSide(t, new Map(), {
    admitClient: ({ key, id }) => ({ owner: { kind: 'client', id: key, clientId: id } })
  })
  const end = new LowerLink({
    routing: (_request, response) => void response.writeHead(404).end(),
    openLane: (linkId, purpose) => dialer.openLane(linkId, purpose),
    takeStream
  })
  const dialer = new Dialer({
    upper: async () => ({
      url: upper.url,
      tls: { ca: [upper.certificate.certificatePem], allowPartialTrustChain: true } as object,
      pins: undefined
    }),
    handshake: async () => ({
      credentials: { client: { key: 'git', id: 'one', token: 'secret' } },
      program: '0.1.0'
    }),
    end,
    logger: silentLogger,
    backoff: { firstMs: 20, maxMs: 200 }
  })
  t.after(() => dialer.stop())
  dialer.start()
  const link = await eventually('the link', () => upper.registry.ofClient('git'))
  return { link, dialer, upper }
}

async function ask(link: UpperLink, text: string): Promise<string> {
  const connection = await link.streamLane.get()
  return new Promise((resolve, reject) => {
    const stream: FramedStream = connection.open(Buffer.from(text))
    let answer = ''
    stream.sink = sink({
      onData: piece => {
        answer += piece.toString()
      },
      onEnd: () => resolve(answer),
      onReset: reject
    })
    stream.end()
  })
}

test('streams of a link share one lane, which is opened with the first one and again after it was lost', async t => {
  const { link } = await startLink(t, echo)
  assert.deepEqual(await Promise.all(['one', 'two', 'three'].map(text => ask(link, text))), ['one', 'two', 'three'])
  assert.equal(link.lanes, 1)
  link.streamLane.connection?.close('a cut')
  await eventually('its end', () => !link.streamLane.isTaken)
  assert.equal(await ask(link, 'four'), 'four')
  assert.ok(link.bytes.received > 0)
})

test('the end of the link ends its streams', async t => {
  const { link, dialer } = await startLink(t, stream => {
    stream.sink = sink({})
  })
  const connection = await link.streamLane.get()
  const stream = connection.open(Buffer.from('waits'))
  const reset = new Promise<number>(resolve => {
    stream.sink = sink({ onReset: ({ code }) => resolve(code) })
  })
  await dialer.stop()
  assert.equal(await reset, RESET.broken)
  await assert.rejects(link.streamLane.get(), /the link (was|is) closed/)
})

test('a lower side that takes no streams says so', async t => {
  const { link } = await startLink(t, undefined)
  await assert.rejects(link.streamLane.get(), /answers 404/)
})

test('a lower side opens no second lane for streams', async t => {
  const { link, dialer } = await startLink(t, echo)
  await link.streamLane.get()
  await assert.rejects(dialer.openLane(link.id, 'streams'), /has a lane for streams already/)
})
