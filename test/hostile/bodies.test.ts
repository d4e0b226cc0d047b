import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { eventually } from '../support/eventually.js'
import { ask } from '../support/network/http.js'
import { exchangeRaw, head, type RawClient, rawClient, statusesIn } from '../support/network/raw-client.js'
import { assertNoLeftovers, assertServes, residentBytes } from '../support/relays/relay-health.js'
import { startTree } from '../support/relays/relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

const ROOT_ALONE = [{ id: 'root', under: 'root', nodes: ['n1', 'n2'] }]
const LIMITS = ['metadata_timeout = "1s"', 'rate_window = "1s"', 'max_uploads = 8']
const MAX_BODY_BYTES = 4 * 1024 * 1024
/** What one relay may take more than before, whatever is thrown at it. */
const MEMORY_BYTES = 200 * 1024 * 1024
const run = promisify(execFile)

function drip(t: TestContext, client: RawClient, byte: string): void {
  const timer = setInterval(() => client.send(byte), 50)
  t.after(() => clearInterval(timer))
}

test('bodies that are slow, torn, endless or not what they say', async t => {
  const settings = {
    general: ['trusted_proxies = ["127.0.0.1"]'],
    limits: LIMITS,
    shared_files: [`max_body_size = ${MAX_BODY_BYTES}`]
  }
  const tree = await startTree(t, { relays: ROOT_ALONE, settings })
  const relay = tree.relay('root')
  const file = signContent('n1', tree.member('n2'), 'f', Buffer.alloc(300_000, 'x'))
  const small = signContent('n1', tree.member('n2'), 'small', 'small')
  const path = `${file.path}?ttl=1h`
  const put = (...headers: readonly string[]) =>
    head(`PUT ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers)
  const pid = tree.processes.get('root')?.pid ?? 0
  await assertServes(tree, relay, 'n1', 'n2')
  const before = await residentBytes(pid)

  await t.test('a client that leaves in the metadata, or in the file, leaves nothing behind', async t => {
    for (const bytes of [0, 10, file.body.length - file.content.length, 200_000, file.body.length - 1]) {
      for (const tls of [false, true]) {
        const client = await rawClient(t, relay, tls)
        client.send(put(`Content-Length: ${file.body.length}`))
        client.send(file.body.subarray(0, bytes))
        client.socket.end()
        await client.closed
        const reset = await rawClient(t, relay, tls)
        reset.send(Buffer.concat([Buffer.from(put('Expect: 100-continue', `Content-Length: ${file.body.length}`))]))
        await reset.until(/100 Continue/)
        reset.send(file.body.subarray(0, bytes))
        reset.socket.destroy()
      }
    }
    await assertNoLeftovers(relay)
    assert.equal((await ask(relay, `${file.path}?hash=${file.hash}`, { method: 'HEAD' })).status, 404)
  })

  await t.test('metadata of one byte now and then: 408', async t => {
    const client = await rawClient(t, relay)
    client.send(put('Content-Length: 10000'))
    drip(t, client, 'a')
    const answer = await client.closed
    assert.deepEqual(statusesIn(answer), [408])
    assert.match(answer, /the body comes too slowly: no whole metadata block within 1000 ms\n$/)
  })

  await t.test('a file of one byte now and then: 408', async t => {
    for (const headers of [[`Content-Length: ${file.body.length}`], ['Transfer-Encoding: chunked']]) {
      const isChunked = headers[0]?.startsWith('T') === true
      const start = file.body.subarray(0, file.body.length - file.content.length)
      const client = await rawClient(t, relay)
      client.send(put(...headers))
      client.send(isChunked ? `${start.length.toString(16)}\r\n${start}\r\n` : start)
      drip(t, client, isChunked ? '1\r\nx\r\n' : 'x')
      const answer = await client.closed
      assert.deepEqual(statusesIn(answer), [408])
      assert.match(answer, /the body comes too slowly: \d+ bytes came within 1000 ms\n$/)
    }
  })

  await t.test('a form of one byte now and then: 408', async t => {
    const client = await rawClient(t, relay)
    const type = 'Content-Type: application/x-www-form-urlencoded'
    client.send(head('POST /rudder/relay-api/remote-run/all HTTP/1.1', 'Host: localhost', type, 'Content-Length: 1000'))
    drip(t, client, 'a')
    const answer = await client.closed
    assert.deepEqual(statusesIn(answer), [408])
    assert.match(answer, /the body did not come within 1000 ms\n$/)
  })

  await t.test('metadata without an end: 400 after 64 KiB, or 256 lines', async t => {
    for (const piece of ['a', 'key=value\n', '\0', '=\n']) {
      const endless = Buffer.from(piece.repeat(200_000 / piece.length))
      const answer = await exchangeRaw(
        t,
        relay,
        Buffer.concat([Buffer.from(put(`Content-Length: ${endless.length}`)), endless])
      )
      assert.deepEqual(statusesIn(answer), [400])
      assert.match(
        answer,
        /invalid metadata: it has more than (65536 bytes|256 lines); is the empty line missing that ends it\?\n$/
      )
    }
  })

  await t.test('a body that ends within the metadata: 400', async () => {
    const answer = await ask(relay, path, { method: 'PUT', body: 'header=rudder-signature-v1\n' })
    assert.equal(answer.status, 400)
    assert.equal(answer.text, 'invalid metadata: the body ended before the empty line that ends it\n')
  })

  await t.test('bad chunks: 400, and the connection is closed', async t => {
    for (const chunks of [
      'zz\r\nab\r\n',
      '-1\r\nab\r\n',
      '5\r\nab\r\n0\r\n\r\n',
      'ffffffffffffffff1\r\nab\r\n',
      '\r\n\r\n'
    ]) {
      assert.deepEqual(
        statusesIn(await exchangeRaw(t, relay, put('Transfer-Encoding: chunked') + chunks)),
        [400],
        chunks
      )
    }
  })

  await t.test('a coding: 415, however small the bomb', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024))
    for (const coding of ['gzip', 'br', 'identity, gzip', 'identityidentity', 'gzip, gzip, gzip', 'x'.repeat(1_000)]) {
      const headers = { 'content-encoding': coding }
      const answer = await ask(relay, path, { method: 'PUT', headers, body: bomb })
      assert.equal(answer.status, 415)
      assert.equal(answer.text, `content-encoding ${coding.slice(0, 40)}: send the bytes as they are\n`)
    }
    const headers = { 'content-encoding': 'gzip', 'content-type': 'application/x-www-form-urlencoded' }
    const form = await ask(relay, '/rudder/relay-api/remote-run/all', { method: 'POST', headers, body: bomb })
    assert.equal(form.status, 415)
  })

  await t.test('too large: 413, seen by curl, and by a client that reads only after sending', async t => {
    const large = Buffer.alloc(MAX_BODY_BYTES + 8 * 1024 * 1024, 'x')
    const source = join(tree.folder, 'large')
    await writeFile(source, large)
    const tooLarge = `the body has more than ${MAX_BODY_BYTES} bytes, which is shared_files.max_body_size\n`
    for (const [length, expect] of [
      ['', 'Expect:'],
      ['', 'X: y'],
      ['Transfer-Encoding: chunked', 'Expect:']
    ]) {
      const headers = [length, expect].flatMap(header => (header ? ['-H', header] : []))
      const { stdout } = await run('curl', [
        '-s',
        '-w',
        '%{http_code}',
        '-T',
        source,
        ...headers,
        relay.localUrl + path
      ])
      // Chunked, what is too long may be noticed as bad metadata before.
      if (length === '') assert.equal(stdout, `${tooLarge}413`)
      else assert.match(stdout, /400$/)
    }
    const client = await rawClient(t, relay)
    client.socket.pause()
    client.send(put('Transfer-Encoding: chunked'))
    const start = file.body.subarray(0, 100_000)
    client.send(`${start.length.toString(16)}\r\n${start}\r\n`)
    const sent = new Promise(resolve =>
      client.socket.write(`${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`, resolve)
    )
    await sent
    client.socket.resume()
    const answer = await client.closed
    assert.deepEqual(statusesIn(answer), [413])
    assert.ok(answer.endsWith(tooLarge))
  })

  await t.test('lengths beyond all measure: 413 before anything is sent', async t => {
    for (const length of ['9007199254740993', '18446744073709551615', String(MAX_BODY_BYTES + 1)]) {
      const answer = await exchangeRaw(t, relay, put(`Content-Length: ${length}`, 'Expect: 100-continue'))
      assert.deepEqual(statusesIn(answer), [413], answer)
    }
  })

  await t.test('slow PUTs take the slots of no more than max_uploads: 503 with Retry-After', async t => {
    const clients = await Promise.all(Array.from({ length: 8 }, () => rawClient(t, relay)))
    for (const client of clients) {
      client.send(put(`Content-Length: ${file.body.length}`, 'Expect: 100-continue'))
      await client.until(/100 Continue/)
      client.send(file.body.subarray(0, file.body.length - 1)) // its metadata is there, and its end never comes
    }
    const refused = await eventually('all slots to be taken', async () => {
      const answer = await ask(relay, `${small.path}?ttl=1h`, { method: 'PUT', body: small.body })
      return answer.status === 503 && answer
    })
    assert.equal(refused.headers['retry-after'], '5')
    assert.equal(refused.text, '8 files are being received already (limits.max_uploads is 8); try again in a moment\n')
    assert.equal((await ask(relay, '/uuid')).text, 'root')
    for (const client of clients) assert.match(await client.closed, /HTTP\/1\.1 408 /)
    const taken = await ask(relay, `${small.path}?ttl=1h`, { method: 'PUT', body: small.body })
    assert.equal(taken.status, 200)
  })

  await t.test(
    'strangers who send seven bytes each take nothing from others, and not all from one another',
    async t => {
      const stranger = (address: string) => async () => {
        const client = await rawClient(t, relay)
        client.send(put(`Content-Length: ${file.body.length}`, 'Expect: 100-continue', `X-Forwarded-For: ${address}`))
        const answer = await client.until(/100 Continue|503 Service/)
        client.send('header=')
        return statusesIn(answer)[0]
      }
      const crowd: (number | undefined)[] = []
      const spelt = ['192.0.2.1', '192.0.2.1:', '[::ffff:192.0.2.1]:'] // a port is another one each time
      for (let count = 0; count < 20; count++) {
        const address = spelt[count % 3] ?? ''
        crowd.push(await stranger(address.endsWith(':') ? `${address}${4_000 + count}` : address)())
      }
      // 4 times max_uploads may wait for metadata: a quarter is reserved, and one source gets half of the rest
      assert.deepEqual(crowd, [...Array(12).fill(100), ...Array(8).fill(503)])
      const unnamed: (number | undefined)[] = []
      for (let count = 0; count < 20; count++) unnamed.push(await stranger(`_${count}`)())
      assert.ok(unnamed.includes(503), 'what is no address is the proxy, whatever it is called')
      assert.equal(await stranger('192.0.2.2')(), 100)
      const viaProxy = { method: 'PUT', body: small.body, headers: { 'x-forwarded-for': '192.0.2.3' } }
      assert.equal((await ask(relay, `${small.path}?ttl=1h`, viaProxy)).status, 200)
      assert.equal((await ask(relay, `${small.path}?ttl=1h`, { method: 'PUT', body: small.body })).status, 200)
    }
  )

  await assertServes(tree, relay, 'n1', 'n2')
  const grown = (await residentBytes(pid)) - before
  assert.ok(grown < MEMORY_BYTES, `${grown} bytes more than before`)
})
