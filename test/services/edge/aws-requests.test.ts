import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { CredentialsError } from '../../../src/services/credentials/edge-credentials.js'
import { createHttpService } from '../../../src/services/edge/http-service.js'
import { formatOpening } from '../../../src/services/streams/open-line.js'
import { StreamKinds } from '../../../src/services/streams/stream-kinds.js'
import { silentLogger } from '../../../src/values/logging/logger.js'
import { eventually } from '../../support/eventually.js'
import { KNOWN_KEYS, startAwsVerifier } from '../../support/network/aws-verifier.js'
import { connectionPair, listenTo } from '../../support/parts/stream-pairs.js'

const MIB = 1024 * 1024
const LINE = { kind: 'http', key: 'aws', base: '', origin: 'http://relay' }

/** An edge before a verifier, and a relay above that opens streams. */
async function startEdge(t: TestContext, service: string, keys = () => KNOWN_KEYS) {
  const { verified, url } = await startAwsVerifier(t, service)
  const aws = {
    scope: { region: 'eu-central-1', service },
    keys: { current: keys, refused: () => undefined, close: () => undefined }
  }
  const http = createHttpService({
    baseUrl: new URL(url),
    tls: () => ({}),
    aws,
    logger: silentLogger,
    onAnswered: () => undefined
  })
  t.after(() => http.close())
  const pair = await connectionPair(t)
  pair.take(new StreamKinds('node').on('http', http.take).take)
  const open = (body: string, head: string) => {
    const opening = Buffer.from(`${head}\r\n\r\n`, 'latin1')
    const stream = pair.upper.open(formatOpening({ ...LINE, body }, opening))
    return { stream, received: listenTo(stream) }
  }
  return { verified, url, open }
}

type Edge = Awaited<ReturnType<typeof startEdge>>

/** Sends a request, its body in pieces. @returns status line and body of the answer */
async function ask(
  { open }: Edge,
  head: string,
  kind = 'none',
  body: readonly (string | Buffer)[] = []
): Promise<string> {
  const { stream, received } = open(kind, head)
  for (const piece of body) stream.write(typeof piece === 'string' ? Buffer.from(piece) : piece)
  stream.end()
  await eventually(`an answer to ${head.slice(0, 80)}`, () => received.hasEnded || received.reset)
  if (received.reset !== undefined) return `reset: ${received.reset.message}`
  return `${/HTTP\/1.1 (\d+)/.exec(received.text)?.[1]} ${received.text.split('>').at(-1)}`
}

for (const service of ['s3', 'dynamodb']) {
  for (const [what, target] of [
    ['a plain path', '/'],
    ['a query', '/b?list-type=2&prefix=a%2Fb&acl'],
    ['characters that are spelt in two ways', "/a%7eb/it's(1)*/%e2%82%ac//x?q=a+b!&q=%2A"]
  ] as const) {
    test(`a request for ${service} with ${what} is signed so that the verifier takes it`, async t => {
      const edge = await startEdge(t, service)
      assert.equal(await ask(edge, `GET ${target} HTTP/1.1\r\nHost: relay\r\nX-Amz-Target: A.b`), '200 right')
    })
  }

  test(`a body for ${service} in any framing is hashed, and comes with its length`, async t => {
    const edge = await startEdge(t, service)
    const head = 'POST /x HTTP/1.1\r\nHost: relay\r\nContent-Type: application/x-amz-json-1.0'
    assert.equal(await ask(edge, `${head}\r\nContent-Length: 6`, 'length', ['abc', 'def']), '200 right')
    assert.equal(await ask(edge, head, 'chunked', ['abc', 'def']), '200 right')
    assert.equal(await ask(edge, `${head}\r\nContent-Length: 0`, 'length'), '200 right')
    const facts = edge.verified.map(({ headers, body }) => [
      headers['content-length'],
      headers['transfer-encoding'],
      body.toString()
    ])
    assert.deepEqual(facts, [
      ['6', undefined, 'abcdef'],
      ['6', undefined, 'abcdef'],
      ['0', undefined, '']
    ])
  })
}

test("the caller's own signature does not reach the service, whether in headers or in the query", async t => {
  const edge = await startEdge(t, 's3')
  const signature =
    'Authorization: AWS4-HMAC-SHA256 Credential=OTHER/1/2/s3/aws4_request, SignedHeaders=host, Signature=ab'
  const headers = `${signature}\r\nX-Amz-Date: 20130524T000000Z\r\nX-Amz-Security-Token: caller\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD`
  const presigned = '/k?X-Amz-Credential=OTHER&X-Amz-Signature=ab&X-Amz-Date=20130524T000000Z&versionId=1'
  assert.equal(
    await ask(edge, `GET ${presigned} HTTP/1.1\r\nHost: relay\r\n${headers}\r\nx-amz-acl: private`),
    '200 right'
  )
  const [got] = edge.verified
  assert.equal(got?.url, '/k?versionId=1')
  assert.doesNotMatch(JSON.stringify(got?.headers), /OTHER|caller|20130524/)
  assert.equal(got?.headers['x-amz-acl'], 'private')
})

test('the last body that is hashed has 8 MiB; a longer one goes to S3 unsigned, and is refused for others', async t => {
  const whole = randomBytes(8 * MIB)
  const put = (bytes: number) => `PUT /k HTTP/1.1\r\nHost: relay\r\nContent-Length: ${bytes}`
  const s3 = await startEdge(t, 's3')
  assert.equal(await ask(s3, put(whole.length), 'length', [whole]), '200 right')
  assert.equal(await ask(s3, put(whole.length + 1), 'length', [whole, 'x']), '200 right')
  assert.match(await ask(s3, 'PUT /k HTTP/1.1\r\nHost: relay', 'chunked', [whole, 'x']), /^413 .*Content-Length/)
  const hashes = s3.verified.map(({ headers }) => headers['x-amz-content-sha256'])
  assert.deepEqual(hashes, [createHash('sha256').update(whole).digest('hex'), 'UNSIGNED-PAYLOAD'])
  const other = await startEdge(t, 'lambda')
  assert.match(
    await ask(other, put(whole.length + 1), 'length', [whole, 'x']),
    /^413 the body has more than 8388608 bytes/
  )
  assert.match(await ask(other, 'PUT /k HTTP/1.1\r\nHost: relay', 'chunked', [whole, 'x']), /^413 /)
  assert.equal(other.verified.length, 0)
})

test('chunks with signatures are refused, and chunks without go on as they are', async t => {
  const edge = await startEdge(t, 's3')
  const head = (hash: string) =>
    `PUT /k HTTP/1.1\r\nHost: relay\r\nContent-Length: 5\r\nContent-Encoding: aws-chunked\r\nx-amz-content-sha256: ${hash}`
  assert.match(
    await ask(edge, head('STREAMING-AWS4-HMAC-SHA256-PAYLOAD'), 'length', ['abcde']),
    /^501 .*chunks cannot be signed again/
  )
  assert.equal(await ask(edge, head('STREAMING-UNSIGNED-PAYLOAD-TRAILER'), 'length', ['abcde']), '200 right')
  assert.deepEqual(
    edge.verified.map(({ body }) => body.toString()),
    ['abcde']
  )
})

test('a caller that waits for a go-ahead gets it from the edge, and the service is not asked for one', async t => {
  const edge = await startEdge(t, 's3')
  const { stream, received } = edge.open(
    'length',
    'PUT /k HTTP/1.1\r\nHost: relay\r\nExpect: 100-continue\r\nContent-Length: 3'
  )
  await eventually('the go-ahead', () => received.text.includes('100 Continue'))
  assert.equal(edge.verified.length, 0)
  stream.write(Buffer.from('abc'))
  stream.end()
  await eventually('an answer', () => received.hasEnded)
  assert.match(received.text, /right$/)
  assert.equal(edge.verified[0]?.headers.expect, undefined)
})

test('what is no body of the announced length reaches no service', async t => {
  const edge = await startEdge(t, 's3')
  const head = 'PUT /k HTTP/1.1\r\nHost: relay\r\nContent-Length: 3'
  assert.match(await ask(edge, head, 'length', ['abcd']), /^reset: data behind the body/)
  assert.match(await ask(edge, head, 'length', ['ab']), /^reset: a body that ended early/)
  assert.equal(edge.verified.length, 0)
})

test('a target that cannot be signed is refused', async t => {
  const edge = await startEdge(t, 's3')
  assert.match(await ask(edge, 'GET /%zz HTTP/1.1\r\nHost: relay'), /^400 .*cannot be signed/)
  assert.match(await ask(edge, 'OPTIONS * HTTP/1.1\r\nHost: relay'), /^400 the target is no path/)
})

test('bodies are refused while too many are held, and there is room again once their callers have left', async t => {
  const edge = await startEdge(t, 's3')
  const piece = Buffer.alloc(8 * MIB)
  const held = Array.from({ length: 8 }, () => {
    const opened = edge.open('chunked', 'PUT /k HTTP/1.1\r\nHost: relay')
    opened.stream.write(piece)
    return opened
  })
  await eventually('that all was sent', () => held.every(({ received }) => received.drains > 0)) // a request meanwhile would take the room of one of them
  const isFull = async () =>
    (await ask(edge, 'PUT /k HTTP/1.1\r\nHost: relay\r\nContent-Length: 1', 'length', ['x'])).startsWith('503 too many')
  assert.equal(await isFull(), true, 'what was sent before on the lane came before')
  for (const { stream } of held) stream.reset(1, 'left')
  await eventually('room', async () => !(await isFull()))
})

test('without keys the request is refused with the reason, and nothing is sent', async t => {
  const edge = await startEdge(t, 's3', () => {
    throw new CredentialsError('its keys cannot be used')
  })
  assert.match(await ask(edge, 'GET / HTTP/1.1\r\nHost: relay'), /^reset: .*its keys cannot be used/)
  assert.equal(edge.verified.length, 0)
})
