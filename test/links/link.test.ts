import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { makeAgentCertificate } from '../../demo/pki.js'
import type { DialerOptions } from '../../src/links/lower/dialer.js'
import type { UpperLink } from '../../src/links/upper/upper-link.js'
import { CLOSE, MAX_STREAMS } from '../../src/links/wire/protocol.js'
import { eventually } from '../support/eventually.js'
import { openRawLink } from '../support/hostile/hostile-link.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'
import { makeCertificate } from '../support/network/openssl-certificate.js'
import { type LowerSide, makeLowerSide, startUpperSide, type UpperSide } from '../support/parts/links.js'

async function connected(t: TestContext, routing: RequestListener, options: Partial<DialerOptions> = {}) {
  const own = await makeAgentCertificate({ nodeId: 'node-1', hostname: 'node-1.example.com' })
  const known = new Map([[own.certificateDer.toString('base64'), 'node-1']])
  const upper = await startUpperSide(t, known)
  const lower = makeLowerSide(t, upper, own, routing, options)
  lower.dialer.start()
  const link = await linkOf(upper)
  return { upper, lower, link, own }
}

function linkOf(upper: UpperSide): Promise<UpperLink> {
  return eventually('the link', () => upper.registry.ofNode('node-1'))
}

const plain = { headers: {}, silenceLimitMs: 5_000 }

test('requests go down the link, many at a time, and each gets its own answer', async t => {
  const { link } = await connected(t, (request, response) => {
    response.writeHead(200, { 'x-path': request.url ?? '' })
    request.pipe(response)
  })
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const body = Buffer.alloc(1_000, index % 256)
      const answer = await link.request({
        ...plain,
        method: 'PUT',
        path: `/${index}`,
        headers: { 'content-length': '1000', 'content-type': 'application/octet-stream' },
        body
      })
      assert.equal(answer.status, 200)
      assert.equal(answer.headers['x-path'], `/${index}`)
      return body.equals(await buffer(answer.body))
    })
  )
  assert.ok(answers.every(Boolean))
  assert.equal(link.streams, 0)
})

for (const lane of ['auto', 'websocket'] as const)
  test(`bulk goes over lanes (${lane}), of which there are as many as are needed`, async t => {
    const { link, lower } = await connected(
      t,
      async (request, response) => {
        const hash = createHash('sha256')
        for await (const chunk of request) hash.update(chunk)
        response.end(`${lower.end.isFromAbove(request)} ${request.httpVersion} ${hash.digest('hex')}`)
      },
      { lane: () => lane }
    )
    const pool = await link.bulk()
    const bodies = [1, 2, 3].map(fill => Buffer.alloc(5_000_000, fill))
    const answers = await Promise.all(
      bodies.map(async body => {
        const { body: answer } = await pool.request({ method: 'PUT', path: '/x', body: Readable.from([body]) })
        return answer.text()
      })
    )
    assert.deepEqual(
      answers,
      bodies.map(body => `true 1.1 ${createHash('sha256').update(body).digest('hex')}`)
    )
    assert.equal(link.lanes, 3)
    assert.ok(link.bytes.sent > 15_000_000)
    await pool.destroy()
  })

test('a request that is cancelled above is cancelled below', async t => {
  const below = new AbortController()
  const { link } = await connected(t, (_request, response) => {
    response.on('close', () => below.abort())
    response.writeHead(200)
    response.write('first')
  })
  const stop = new AbortController()
  const answer = await link.request({ ...plain, method: 'GET', path: '/', signal: stop.signal })
  assert.equal(String((await once(answer.body, 'data'))[0]), 'first')
  stop.abort()
  if (!below.signal.aborted) await once(below.signal, 'abort')
  await assert.rejects(text(answer.body))
})

test('an answer that the other side breaks off does not pass for a whole one', async t => {
  const { link } = await connected(t, (request, response) => {
    request.resume()
    response.writeHead(200)
    response.write('first', () => response.destroy())
  })
  for (const body of [undefined, Buffer.from('x')]) {
    const headers: Record<string, string> =
      body === undefined ? {} : { 'content-length': '1', 'content-type': 'text/plain' }
    const answer = await link.request({
      ...plain,
      method: body === undefined ? 'GET' : 'PUT',
      path: '/',
      headers,
      body
    })
    await assert.rejects(text(answer.body))
  }
})

test('what is under way when the link breaks ends with an error, and the link comes back', async t => {
  const { link, upper } = await connected(t, (_request, response) => {
    response.writeHead(200)
    response.write('first')
  })
  const answer = await link.request({ ...plain, method: 'GET', path: '/' })
  const silent = link.request({ ...plain, method: 'GET', path: '/' })
  upper.cut()
  await assert.rejects(text(answer.body))
  await silent.then(
    ({ body }) => assert.rejects(text(body)),
    () => undefined
  )
  await link.closed
  assert.throws(() => link.request({ ...plain, method: 'GET', path: '/' }), { sent: false })
  const next = await eventually('another link', () => {
    const found = upper.registry.ofNode('node-1')
    return found !== link && found
  })
  assert.notEqual(next.id, link.id)
})

test('bulk for which nobody can be asked for a lane fails, and nothing else', async t => {
  const { link, upper } = await connected(t, () => undefined)
  const hanging = Array.from({ length: MAX_STREAMS }, () =>
    link.request({ ...plain, method: 'GET', path: '/' }).catch((error: unknown) => error)
  )
  const pool = await link.bulk()
  await assert.rejects(pool.request({ method: 'GET', path: '/' }), /requests are under way|no lane came/)
  link.close(CLOSE.removed, 'removed')
  await assert.rejects(pool.request({ method: 'GET', path: '/' }), /the link was closed/)
  assert.equal(await link.closed, 'removed')
  assert.ok((await Promise.all(hanging)).every(error => error instanceof Error))
  await linkOf(upper)
})

test('a link that is closed tells the other side why', async t => {
  const { link, lower } = await connected(t, () => undefined)
  const told = reasonOfNextLoss(lower)
  link.close(CLOSE.removed, 'node-1 was removed')
  assert.equal(await told, `node-1 was removed (${CLOSE.removed})`)
})

test('one that is closed in the turn in which it opens tells it as well', async t => {
  const { lower, upper, link } = await connected(t, () => undefined)
  await eventually('the first link', () => lower.dialer.status.isConnected)
  const told = reasonOfNextLoss(lower)
  const stop = upper.registry.onChange((event, opened) => {
    if (event === 'opened') opened.close(CLOSE.removed, 'node-1 was removed')
  })
  t.after(stop)
  link.close(CLOSE.full, 'to begin with')
  await told
  await eventually('the second link', () => lower.dialer.status.reason === `node-1 was removed (${CLOSE.removed})`)
})

test('one that is closed while the other side writes tells it as well', async t => {
  const piece = Buffer.alloc(100_000)
  const { link, lower } = await connected(t, (_request, response) => {
    response.on('error', () => undefined)
    const write = () => {
      while (!response.destroyed && response.write(piece));
    }
    response.on('drain', write)
    write()
  })
  const told = reasonOfNextLoss(lower)
  const { body } = await link.request({ ...plain, method: 'GET', path: '/' })
  body.on('error', () => undefined)
  let received = 0
  for await (const chunk of body.iterator({ destroyOnReturn: false })) {
    received += chunk.length
    if (received > 5_000_000) break
  }
  link.close(CLOSE.removed, 'node-1 was removed')
  assert.equal(await told, `node-1 was removed (${CLOSE.removed})`)
})

test('a lower side that stops says so', async t => {
  const { link, lower } = await connected(t, () => undefined)
  await lower.dialer.stop()
  assert.equal(await link.closed, `it is stopping (${CLOSE.stopping})`)
})

function reasonOfNextLoss({ dialer }: LowerSide): Promise<string | undefined> {
  return new Promise(resolve => {
    dialer.onChange(({ isConnected, reason }) => isConnected || resolve(reason))
  })
}

test('a newer link of the same node takes the place of the old one at once', async t => {
  const { link, upper, own } = await connected(t, (_request, response) => response.end('old'))
  const other = makeLowerSide(t, upper, own, (_request, response) => response.end('new'), {
    backoff: { firstMs: 60_000, maxMs: 60_000 }
  })
  other.dialer.start()
  await link.closed
  const now = await linkOf(upper)
  assert.equal(await text((await now.request({ ...plain, method: 'GET', path: '/' })).body), 'new')
})

test('a certificate that nobody knows, and one without its key, get no link and a reason', async t => {
  const stranger = await makeAgentCertificate({ nodeId: 'stranger', hostname: 'x' })
  const upper = await startUpperSide(t, new Map())
  const { dialer } = makeLowerSide(t, upper, stranger, (_request, response) => response.end())
  dialer.start()
  assert.equal(await eventually('a reason', () => reasonOf(dialer.status)), 'nobody knows this certificate')
  assert.equal(upper.registry.size, 0)
})

test('a certificate that is listed, and whose key takes long to verify with, gets no link', async t => {
  const own = await makeCertificate(join(await temporaryFolder(t), 'own'), 'sect571r1')
  const der = new X509Certificate(own.cert).raw
  const upper = await startUpperSide(t, new Map([[der.toString('base64'), 'node-1']]))
  const material = { certificatePem: own.cert, certificateDer: der, privateKeyPem: own.key, fingerprint: '' }
  const lower = makeLowerSide(t, upper, material as never, () => undefined)
  lower.dialer.start()
  const reason = await eventually(
    'the refusal',
    () => lower.dialer.status.reason?.includes('sect571r1') && lower.dialer.status.reason
  )
  assert.match(reason, /a key on the curve sect571r1 is not taken/)
})

test('whoever hands on the challenge of another relay, with a certificate of its own, gets no answer to it', async t => {
  const own = await makeAgentCertificate({ nodeId: 'node-1', hostname: 'x' })
  const known = new Map([[own.certificateDer.toString('base64'), 'node-1']])
  const upper = await startUpperSide(t, known, { selfId: 'other' })
  const pinned = makeLowerSide(t, upper, own, () => undefined)
  pinned.dialer.start()
  await eventually('the link to the one that is pinned', () => pinned.dialer.status.isConnected)
  await pinned.dialer.stop()
  const tls = { ca: [upper.certificate.certificatePem], allowPartialTrustChain: true } as object
  const asked = async () => ({ url: upper.url, tls, pins: undefined })
  const lower = makeLowerSide(t, upper, own, () => undefined, { upper: asked })
  lower.dialer.start()
  const tried = () => lower.dialer.status.reason !== 'not tried yet' && lower.dialer.status.reason
  assert.equal(await eventually('the end', tried), 'it says that it is "other", and shows a certificate of root')
})

test('the lower side speaks to nobody but the policy server', async t => {
  const own = await makeAgentCertificate({ nodeId: 'node-1', hostname: 'x' })
  const upper = await startUpperSide(t, new Map())
  const other = await makeAgentCertificate({ nodeId: 'root', hostname: '127.0.0.1' })
  const { dialer } = makeLowerSide(t, { url: upper.url, certificate: other }, own, (_request, response) =>
    response.end()
  )
  dialer.start()
  assert.match(await eventually('a reason', () => reasonOf(dialer.status)), /issued by nobody whom this machine trusts/)
})

function reasonOf({ reason }: { readonly reason: string | undefined }): string | undefined {
  return reason === 'not tried yet' ? undefined : reason
}

test('handshakes that are refused again and again get few lines in the log', async t => {
  const lines: string[] = []
  const logger = pino({ base: null }, { write: (line: string) => void lines.push(line) })
  const upper = await startUpperSide(t, new Map(), { logger })
  for (let count = 0; count < 60; count += 1) {
    const link = await openRawLink(t, upper.url.replace('wss', 'https'))
    await link.next()
    await link.send('nobody')
    await link.closed
  }
  const last = await openRawLink(t, upper.url.replace('wss', 'https'))
  await last.next() // what the one before was refused with is logged by now
  assert.equal(lines.length, 30, lines[0])
})
