import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { ALLOWED, askRelay, ELSEWHERE, startServiceCallers, statusOf } from '../support/relays/service-callers.js'

test('callers of a service without a token', async t => {
  const { relay, port, httpsPort, call, seen, reload, held } = await startServiceCallers(t)
  const own = `127.0.0.1:${port}`

  await t.test('from an allowed network: passed on', async () => {
    const { status, text } = await call()
    assert.equal(status, 200)
    assert.match(text, /from the service$/)
  })

  await t.test('from elsewhere: 401', async () => {
    const answer = await call({ from: ELSEWHERE })
    assert.equal(answer.status, 401)
    assert.match(answer.text, /127\.0\.0\.2 is not in services\.allowed_networks/)
    assert.equal(answer.seen, undefined)
  })

  await t.test('pages of the service itself: passed on', async () => {
    for (const lines of [
      [`Origin: http://${own}`],
      [`Origin: http://${own}`, 'Sec-Fetch-Site: same-origin'],
      ['Sec-Fetch-Site: none'],
      [`Referer: http://${own}/v1/relay/git/page`]
    ]) {
      assert.equal((await call({ lines })).status, 200, lines.join())
    }
  })

  await t.test('pages from elsewhere: 403, and the service is not asked', async () => {
    for (const lines of [
      ['Origin: https://evil.example'],
      ['Origin: null'],
      [`Origin: https://${own}`],
      ['Origin: http://127.0.0.1:1'],
      [`Origin: http://${own}`, 'Origin: https://evil.example'],
      ['Sec-Fetch-Site: cross-site'],
      ['Sec-Fetch-Site: same-site'],
      ['Sec-Fetch-Site: none', 'Sec-Fetch-Site: cross-site'],
      [`Origin: http://${own}`, 'Sec-Fetch-Site: cross-site'],
      ['Referer: https://evil.example/'],
      [`Referer: http://${own}@evil.example/`]
    ]) {
      for (const method of ['GET', 'POST', 'OPTIONS']) {
        const answer = await call({ lines, method })
        assert.equal(answer.status, 403, lines.join())
        assert.match(answer.text, /not for web pages from elsewhere/)
        assert.equal(answer.seen, undefined)
      }
    }
  })

  await t.test('by the names that the relay has: passed on', async () => {
    for (const host of ['localhost', '[::1]:8080', '127.9.9.9', 'LOCALHOST.', hostname()]) {
      assert.equal((await call({ host })).status, 200, host)
    }
    const absolute = await call({ path: `http://localhost:${port}/v1/relay/git/`, host: 'rebound.example' })
    assert.equal(absolute.status, 200, 'the target replaces the host')
  })

  await t.test('by another name: 403, which says where to add it', async () => {
    for (const host of ['rebound.example', `127.0.0.1.evil.example:${port}`, '', '192.0.2.1', '[::2]']) {
      for (const lines of [[], [`Origin: http://${host}`]]) {
        const answer = await call({ host, lines })
        assert.equal(answer.status, 403, host)
        assert.match(answer.text, /is no name of this relay.*general\.hostnames/)
        assert.equal(answer.seen, undefined)
      }
    }
    const absolute = await call({ path: 'http://rebound.example/v1/relay/git/' })
    assert.equal(absolute.status, 403)
    await reload(text => text.replace('[general]', '[general]\nhostnames = ["rebound.example"]'))
    assert.equal((await call({ host: 'rebound.example' })).status, 200)
  })

  await t.test('through a proxy on this machine: by the address that a trusted one names', async () => {
    const named = (address: string) => ({ lines: [`X-Forwarded-For: ${address}`] })
    const unknown = await call(named('127.0.0.1'))
    assert.equal(unknown.status, 401)
    assert.match(unknown.text, /general\.trusted_proxies/)
    await reload(text => text.replace('[general]', '[general]\ntrusted_proxies = ["127.0.0.9/32", "127.0.0.1/32"]'))
    assert.equal((await call({ ...named('192.0.2.1'), from: '127.0.0.9' })).status, 401)
    assert.equal((await call(named('127.0.0.9'))).status, 401, 'named by nothing but proxies')
    assert.equal((await call({ ...named('127.0.0.1, unknown'), from: '127.0.0.9' })).status, 401)
    assert.equal((await call({ lines: ['Via: 1.1 x'], from: '127.0.0.9' })).status, 401)
    assert.equal((await call(named('192.0.2.1, 127.0.0.9'))).status, 401)
  })

  await t.test('a service learns what a trusted proxy tells of its caller, and nothing that others tell', async () => {
    const told = (seen: readonly string[] | undefined, name: string) =>
      seen?.flatMap((text, at) => (text.toLowerCase() === name ? [seen[at + 1]] : []))
    const trust = (proxy: string) => (text: string) =>
      text.replace(/trusted_proxies = .*/, `trusted_proxies = ["${proxy}/32"]`)
    await reload(trust('127.0.0.9'))
    const lines = [`X-Forwarded-For: ${ALLOWED}`, 'X_Forwarded_For: 127.0.0.8', 'X-Forwarded-Proto: https']
    const { status, seen } = await call({ lines, from: '127.0.0.9' })
    assert.equal(status, 200)
    assert.deepEqual(told(seen, 'x-forwarded-for'), [`${ALLOWED}, 127.0.0.9`])
    assert.deepEqual(told(seen, 'x-forwarded-proto'), ['https'])
    assert.deepEqual(told(seen, 'x_forwarded_for'), [])
    await reload(trust('192.0.2.200'))
    const other = await call({
      lines: [...lines, 'X-Relay-Token: an-admin-token-that-is-long-enough'],
      from: '127.0.0.9'
    })
    assert.equal(other.status, 200)
    assert.deepEqual(told(other.seen, 'x-forwarded-for'), ['127.0.0.9'])
    assert.deepEqual(told(other.seen, 'x-forwarded-proto'), ['http'])
  })

  await t.test('over TLS: the same, but for the host, which TLS proves', async () => {
    const own = `127.0.0.1:${httpsPort}`
    const secure = (lines: readonly string[] = [], host = own) => call({ tls: true, lines, host })
    const answer = await secure()
    assert.equal(answer.status, 200)
    assert.equal(answer.seen?.[answer.seen.indexOf('X-Forwarded-Proto') + 1], 'https')
    assert.equal((await secure([], 'another.example')).status, 200)
    assert.equal((await secure([`Origin: https://${own}`])).status, 200)
    for (const lines of [[`Origin: http://${own}`], ['Origin: null'], ['Sec-Fetch-Site: cross-site']]) {
      assert.equal((await secure(lines)).status, 403, lines.join())
    }
    assert.equal((await call({ tls: true, host: own, from: ELSEWHERE })).status, 401)
  })

  await t.test('an answer that breaks off does not pass for a whole one, and ends nothing else', async () => {
    for (const tls of [true, false]) {
      const other = call({ path: '/v1/relay/git/held' })
      const [waiting] = await eventually('the other request', () => held.length > 0 && held.splice(0))
      const { text } = await call({ tls, path: '/v1/relay/git/broken' })
      assert.ok(text.length < 500 && !text.includes('\r\n0\r\n'), text)
      waiting?.end()
      assert.equal((await other).status, 200)
    }
  })

  await t.test('at the listeners of the API: 404, which names the setting, and the service is not asked', async () => {
    for (const path of ['/v1/relay/git/', '/v1/relay/git', '/v1/relay/git?x', '/v1/relay/none/x', '/v1/relay/git/..']) {
      const before = seen()
      for (const url of [relay.localUrl, relay.url]) {
        const answer = await askRelay(url, path, relay.certificate.certificatePem)
        assert.equal(statusOf(answer), 404, path)
        assert.match(answer, /services\.listen and services\.https_listen/)
      }
      assert.equal(seen(), before)
    }
    assert.doesNotMatch(await askRelay(relay.localUrl, '/v1/relay/', ''), /services\.listen/)
  })
})
