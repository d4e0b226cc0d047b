import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask } from '../support/network/http.js'
import { exchangeRaw, head, rawClient, statusesIn } from '../support/network/raw-client.js'
import { assertServes } from '../support/relays/relay-health.js'
import { startTree } from '../support/relays/relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

const ROOT_ALONE = [{ id: 'root', under: 'root', nodes: ['n1', 'n2'] }]
const FILE = '/rudder/relay-api/shared-files/n1/n2/f'
const UUID = head('GET /uuid HTTP/1.1', 'Host: localhost')
const RUBBISH = 'this is not an HTTP/1.1 request\n'
const TOO_LONG = 'the request line and headers have more than 16384 bytes\n'

/** What is sent, and the statuses of all that is answered before the connection is closed. */
const REFUSED: readonly (readonly [
  name: string,
  bytes: string | Buffer,
  statuses: readonly number[],
  text?: string
])[] = [
  ['bytes at random', Buffer.from([0x16, 0x03, 0xff, 0x00, 0x80, 0x0d, 0x0a]), [400], RUBBISH],
  ['HTTP/2 by prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400], RUBBISH],
  ['a version of HTTP that there is none of', head('GET /uuid HTTP/3.7', 'Host: localhost'), [400], RUBBISH],
  ['no method', head(' /uuid HTTP/1.1', 'Host: localhost'), [400], RUBBISH],
  ['an unknown method', head('FROBNICATE /uuid HTTP/1.1', 'Host: localhost'), [400], RUBBISH],
  ['no Host', head('GET /uuid HTTP/1.1', 'Connection: close'), [400]],
  ['a header without a colon', head('GET /uuid HTTP/1.1', 'Host: localhost', 'rubbish'), [400], RUBBISH],
  ['a space before the colon', head('GET /uuid HTTP/1.1', 'Host: localhost', 'Content-Length : 5'), [400], RUBBISH],
  ['a folded header', head('GET /uuid HTTP/1.1', 'Host: localhost', 'X: a', '\tb: c\0'), [400], RUBBISH],
  ['NUL in a header', head('GET /uuid HTTP/1.1', 'Host: localhost', 'X: a\0b'), [400], RUBBISH],
  ['NUL in the path', head('GET /uu\0id HTTP/1.1', 'Host: localhost'), [400], RUBBISH],
  ['a line feed alone after the head', 'GET /uuid HTTP/1.1\nHost: x\n\n\n\0', [400], RUBBISH],
  ['a header of 20 KiB', head('GET /uuid HTTP/1.1', 'Host: localhost', `X: ${'a'.repeat(20_480)}`), [431], TOO_LONG],
  [
    'a header name of 20 KiB',
    head('GET /uuid HTTP/1.1', 'Host: localhost', `${'a'.repeat(20_480)}: 1`),
    [431],
    TOO_LONG
  ],
  [
    'many short headers',
    head('GET /uuid HTTP/1.1', 'Host: localhost', ...Array.from({ length: 5_000 }, (_, index) => `X-${index}: 1`)),
    [431],
    TOO_LONG
  ],
  ['a path of 64 KiB', head(`GET /${'a'.repeat(65_536)} HTTP/1.1`, 'Host: localhost'), [431], TOO_LONG],
  [
    'Content-Length and Transfer-Encoding',
    head(`PUT ${FILE} HTTP/1.1`, 'Host: localhost', 'Content-Length: 4', 'Transfer-Encoding: chunked') +
      '0\r\n\r\nGET /uuid',
    [400],
    RUBBISH
  ],
  [
    'Transfer-Encoding twice, the last one not chunked',
    head(`PUT ${FILE} HTTP/1.1`, 'Host: localhost', 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity'),
    [400],
    RUBBISH
  ],
  [
    'an obscured Transfer-Encoding',
    head(`PUT ${FILE} HTTP/1.1`, 'Host: localhost', 'Transfer-Encoding: xchunked'),
    [400],
    'Transfer-Encoding: xchunked is not understood: send the body in chunks alone (chunked)\n'
  ],
  [
    'Content-Length twice',
    head(`PUT ${FILE} HTTP/1.1`, 'Host: localhost', 'Content-Length: 4', 'Content-Length: 5'),
    [400],
    RUBBISH
  ],
  ['a list of lengths', head(`PUT ${FILE} HTTP/1.1`, 'Host: localhost', 'Content-Length: 4, 5'), [400], RUBBISH],
  ['a negative length', head(`PUT ${FILE} HTTP/1.1`, 'Host: localhost', 'Content-Length: -1'), [400], RUBBISH],
  ['a length in hex', head(`PUT ${FILE} HTTP/1.1`, 'Host: localhost', 'Content-Length: 0x10'), [400], RUBBISH],
  [
    'a length beyond 64 bits',
    head(`PUT ${FILE} HTTP/1.1`, 'Host: localhost', `Content-Length: ${'9'.repeat(30)}`),
    [400],
    RUBBISH
  ]
]

test('what is no request is answered, and the connection closed', async t => {
  const tree = await startTree(t, { relays: ROOT_ALONE, settings: { limits: ['headers_timeout = "1s"'] } })
  const relay = tree.relay('root')

  for (const tls of [false, true]) {
    for (const [name, bytes, statuses, text] of REFUSED) {
      await t.test(`${name}${tls ? ', over TLS' : ''}`, async t => {
        const answer = await exchangeRaw(t, relay, bytes, tls)
        assert.deepEqual(statusesIn(answer), statuses, JSON.stringify(answer.slice(0, 400)))
        if (text !== undefined) assert.ok(answer.endsWith(`\r\n\r\n${text}`), answer)
      })
    }
  }

  await t.test('a head that is never finished: 408', async t => {
    for (const tls of [false, true]) {
      const answer = await exchangeRaw(t, relay, 'GET /uuid HTTP/1.1\r\nHost: localhost\r\nX: ', tls)
      assert.deepEqual(statusesIn(answer), [408])
      assert.ok(answer.endsWith('\r\n\r\nthe headers did not come in time\n'), answer)
    }
  })

  await t.test('a head of one byte now and then: 408', async t => {
    const client = await rawClient(t, relay)
    const timer = setInterval(() => client.send('a'), 100)
    t.after(() => clearInterval(timer))
    client.send('GET /uuid HTTP/1.1\r\nHost: localhost\r\nX: ')
    assert.deepEqual(statusesIn(await client.closed), [408])
  })

  await t.test('a connection over which nothing comes is closed', async t => {
    const client = await rawClient(t, relay)
    assert.deepEqual(statusesIn(await client.closed), [408])
  })

  await t.test('HTTP/0.9 and 1.0: answered once, then the connection is closed', async t => {
    const again = head('GET /uuid HTTP/1.0')
    assert.deepEqual(statusesIn(await exchangeRaw(t, relay, again + again)), [200])
    assert.deepEqual(statusesIn(await exchangeRaw(t, relay, `GET /uuid\r\n\r\n${again}`)), [505])
  })

  await t.test('a query of more than 64 parameters: 400, on every route', async () => {
    const query = (count: number) => Array.from({ length: count }, (_, index) => `p${index}=1`).join('&')
    for (const path of [FILE, '/uuid', '/v1/system/ready', '/no/such/path', `http://localhost${FILE}`]) {
      for (const method of ['GET', 'PUT']) {
        const send = (count: number) =>
          exchangeRaw(
            t,
            relay,
            head(`${method} ${path}?${query(count)} HTTP/1.1`, 'Host: localhost', 'Connection: close')
          )
        const refused = await send(65)
        assert.deepEqual(statusesIn(refused), [400], path)
        assert.match(refused, /the query has more than 64 parameters; send fewer/)
        assert.doesNotMatch(await send(64), /parameters; send fewer/)
      }
    }
    const refused = await exchangeRaw(
      t,
      relay,
      head(`HEAD ${FILE}?${query(65)} HTTP/1.1`, 'Host: localhost', 'Connection: close')
    )
    assert.deepEqual(statusesIn(refused), [400])
    assert.deepEqual(
      statusesIn(
        await exchangeRaw(
          t,
          relay,
          head(`GET /uuid?${'&'.repeat(15_000)} HTTP/1.1`, 'Host: localhost', 'Connection: close')
        )
      ),
      [400]
    )
  })

  await t.test('HTTP/1.0 with Transfer-Encoding: 400, and nothing more is taken from the connection', async t => {
    const file = signContent('n1', tree.member('n2'), 'hidden', 'hidden')
    const hidden = head(`PUT ${file.path}?ttl=1h HTTP/1.1`, 'Host: localhost', `Content-Length: ${file.body.length}`)
    for (const tls of [false, true]) {
      for (const more of [[], ['Expect: 100-continue'], ['Connection: upgrade, keep-alive', 'Upgrade: h2c']]) {
        const keep = more.length < 2 ? ['Connection: keep-alive'] : []
        const outer = head('GET /uuid HTTP/1.0', 'Host: localhost', 'Transfer-Encoding: chunked', ...keep, ...more)
        const bytes = Buffer.concat([Buffer.from(`${outer}0\r\n\r\n${hidden}`), file.body])
        const answer = await exchangeRaw(t, relay, bytes, tls)
        assert.deepEqual(statusesIn(answer), [400], answer)
        assert.match(answer, /\nHTTP\/1.0 has no Transfer-Encoding: send a Content-Length, or use HTTP\/1.1\n$/)
      }
    }
    assert.equal((await ask(relay, `${file.path}?hash=${file.hash}`, { method: 'HEAD' })).status, 404)
  })

  await t.test('a Transfer-Encoding that names more than chunks: 400, and nothing more is taken', async t => {
    for (const coding of ['gzip, chunked', 'chunked, chunked', 'identity, chunked']) {
      const outer = head(`PUT ${FILE} HTTP/1.1`, 'Host: localhost', `Transfer-Encoding: ${coding}`)
      const answer = await exchangeRaw(t, relay, `${outer}0\r\n\r\n${UUID}`)
      assert.deepEqual(statusesIn(answer), [400], answer)
    }
  })

  await t.test('RTSP/1.0 is held to the rules of HTTP/1.0', async t => {
    const foreign = head('POST /rudder/relay-api/remote-run/all RTSP/1.0', 'Host: evil.example', 'Content-Length: 0')
    assert.deepEqual(statusesIn(await exchangeRaw(t, relay, foreign)), [403])
    assert.deepEqual(statusesIn(await exchangeRaw(t, relay, head('GET /uuid RTSP/2.0'))), [505])
  })

  await t.test('after answers, rubbish gets a 400 of its own', async t => {
    const client = await rawClient(t, relay)
    client.send(UUID + UUID)
    await client.until(/(HTTP[\s\S]*root){2}/)
    client.send('\0\0\0')
    assert.deepEqual(statusesIn(await client.closed), [200, 200, 400])
  })

  await t.test('in the middle of an answer, rubbish ends it, and adds nothing to it', async t => {
    const file = signContent('n1', tree.member('n2'), 'large', Buffer.alloc(16 * 1024 * 1024, 'a'))
    await ask(relay, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
    const client = await rawClient(t, relay)
    client.send(head(`GET ${file.path} HTTP/1.1`, 'Host: localhost'))
    await client.until(/\r\n\r\na/)
    client.socket.pause()
    client.send('\0\0\0')
    client.socket.resume()
    const [top = '', body = ''] = (await client.closed).split('\r\n\r\n', 2)
    assert.deepEqual(statusesIn(`${top}\r\n`), [200])
    assert.match(top, /content-length: 16777216/)
    assert.match(body, /^a+$/)
  })

  await t.test('a request hidden in the body of another one is none', async t => {
    const outer = head(`PUT ${FILE} HTTP/1.1`, 'Host: localhost', 'Connection: close', `Content-Length: ${UUID.length}`)
    const answer = await exchangeRaw(t, relay, outer + UUID)
    assert.deepEqual(statusesIn(answer), [400])
  })

  await assertServes(tree, relay, 'n1', 'n2')
})
