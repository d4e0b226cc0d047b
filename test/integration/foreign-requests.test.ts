import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { test } from 'node:test'
import { ask } from '../support/network/http.js'
import { exchangeRaw, head, statusesIn } from '../support/network/raw-client.js'
import { sendRaw } from '../support/network/raw-http.js'
import { startCallerTree, TOKEN } from '../support/relays/caller-tree.js'

test('web pages, names of the relay and malformed requests', async t => {
  const { tree, relay, member, assertMay, reload } = await startCallerTree(t)

  await t.test('a web page from elsewhere: nothing, whoever its browser is taken for', async () => {
    const { port } = new URL(relay.localUrl)
    const pages: Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: `http://evil.example:${port}` },
      { origin: 'http://localhost:1' },
      { origin: relay.localUrl.replace('http:', 'https:') }, // the page of another server, on another port
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { referer: 'https://evil.example/page' }, // an image or a link: no Origin, and no word of the site by old browsers
      { referer: `http://localhost:1/` },
      { referer: `http://127.0.0.1:${port}@evil.example/`, 'x-forwarded-for': '127.0.0.1' },
      { host: 'rebound.example' },
      { host: `127.0.0.1.rebound.example:${port}` },
      { origin: 'http://rebound.example', host: 'rebound.example' },
      // a page may add any header to a request to what it takes for its own origin
      { origin: 'http://rebound.example', host: 'rebound.example', 'x-forwarded-for': '192.0.2.1' },
      { origin: 'http://rebound.example', 'x-forwarded-host': 'rebound.example', via: '1.1 x' }
    ]
    for (const headers of pages) {
      const what = JSON.stringify(headers)
      for (const as of [undefined, member, tree.member('root')]) {
        if (as !== undefined && !('origin' in headers || 'referer' in headers || 'sec-fetch-site' in headers)) continue // TLS proves the host
        for (const path of ['/uuid', '/runs', '/shared-files/node-a1']) {
          const { status, text } = await ask(relay, path, { headers, ...(as === undefined ? {} : { as }) })
          assert.equal(status, 403, what)
          assert.match(text, /a web page from elsewhere at .*: .*general\.hostnames/, what)
        }
        const run = await ask(relay, '/remote-run/all', {
          method: 'POST',
          headers,
          ...(as === undefined ? {} : { as })
        })
        assert.equal(run.status, 403, what)
      }
    }
    await assertMay([], { headers: { origin: 'null' } }, /general\.hostnames/)
    const withToken = { origin: 'null', authorization: `Bearer ${TOKEN}` }
    assert.equal((await ask(relay, '/runs', { headers: withToken })).status, 403)
    const old = await sendRaw(relay, 'GET /runs HTTP/1.0\r\nOrigin: https://evil.example\r\n\r\n')
    assert.equal(old.status, 403, 'without a host')
  })

  await t.test('by the names that the relay has: as ever', async () => {
    for (const host of ['localhost', '127.0.0.1:3030', '[::1]', '[0:0:0::1]:80', 'LOCALHOST.', hostname()]) {
      assert.equal((await ask(relay, '/runs', { headers: { host } })).status, 200, host)
    }
    for (const host of ['127.0.0.1.', 'localhost.evil.example', '[::2]', ',']) {
      assert.equal((await ask(relay, '/runs', { headers: { host } })).status, 403, host)
    }
    const unnamed = await sendRaw(relay, head('GET /runs HTTP/1.1', 'Host:', 'Connection: close'))
    assert.equal(unnamed.status, 403)
    const own = { origin: relay.url, host: new URL(relay.url).host }
    assert.equal((await ask(relay, '/runs', { as: tree.member('root'), headers: own })).status, 200)
    const plain = { ...own, origin: relay.url.replace('https:', 'http:') }
    assert.equal((await ask(relay, '/runs', { as: tree.member('root'), headers: plain })).status, 403)
    const user = { 'sec-fetch-site': 'none', host: 'localhost' }
    assert.equal((await ask(relay, '/runs', { headers: user })).status, 200)
    const page = { 'sec-fetch-site': 'same-origin', origin: 'http://localhost:3030', host: 'localhost:3030' }
    assert.equal((await ask(relay, '/runs', { headers: page })).status, 200)
    for (const referer of [`${relay.localUrl}/uuid?x`, 'about:blank', '', '/uuid']) {
      assert.equal((await ask(relay, '/runs', { headers: { referer } })).status, 200, referer)
    }
    const linked = { 'sec-fetch-site': 'same-origin', referer: 'https://proxy.example/', via: '1.1 x' }
    assert.equal((await ask(relay, '/remote-run/nodes', { method: 'POST', headers: linked })).status, 400)
    const named = { 'x-forwarded-host': 'proxy.example', referer: 'https://proxy.example/' }
    assert.equal((await ask(relay, '/remote-run/nodes', { method: 'POST', headers: named })).status, 400)
    await reload(text => text.replace('[general]', '[general]\nhostnames = ["alias.example"]'))
    assert.equal((await ask(relay, '/runs', { headers: { host: 'alias.example' } })).status, 200)
  })

  for (const tls of [false, true]) {
    const at = tls ? 'https_listen' : 'listen'
    const api = '/rudder/relay-api'
    const crowd = (count: number) => Array.from({ length: count }, () => 'a:')
    const say = async (...lines: readonly string[]) => exchangeRaw(t, relay, head(...lines), tls)

    await t.test(`1,000 headers before a mark of a proxy at ${at}: 431`, async () => {
      for (const line of [`GET ${api}/runs`, `POST ${api}/system/reload`, 'GET /uuid', 'GET /none']) {
        const marks = ['X-Forwarded-For: 192.0.2.1', 'Connection: close']
        const answer = await say(`${line} HTTP/1.1`, 'Host: localhost', ...crowd(1_000), ...marks)
        assert.deepEqual(statusesIn(answer), [431], line)
        assert.match(answer, /1003 headers; 200 are allowed/)
      }
      const most = await say('GET /uuid HTTP/1.1', 'Host: localhost', ...crowd(198), 'Connection: close')
      assert.deepEqual(statusesIn(most), [200])
    })

    await t.test(`two hosts at ${at}: 400`, async () => {
      const answer = await say('GET /uuid HTTP/1.1', 'Host: localhost', 'hOST: evil.example', 'Connection: close')
      assert.deepEqual(statusesIn(answer), [400])
    })

    await t.test(`the offer of another protocol at ${at}: one request stays one`, async () => {
      const hidden = head(`POST ${api}/system/reload HTTP/1.1`, 'Host: localhost')
      const offer = [`POST ${api}/remote-run/nodes HTTP/1.1`, 'Host: localhost', 'Connection: upgrade, close']
      const length = `Content-Length: ${hidden.length}`
      const whole = await exchangeRaw(t, relay, head(...offer, 'Upgrade: h2c', ...crowd(150), length) + hidden, tls)
      assert.deepEqual(statusesIn(whole), [tls ? 403 : 400])
      const cut = await exchangeRaw(t, relay, head(...offer, 'Upgrade: h2c', ...crowd(1_000), length) + hidden, tls)
      assert.deepEqual(statusesIn(cut), [431])
    })

    await t.test(`links at ${at} are not for pages, and have the same bounds`, async () => {
      const register = ['GET /v1/relay/register HTTP/1.1', 'Host: localhost', 'Connection: Upgrade']
      const webSocket = ['Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${'A'.repeat(22)}==`]
      const ask = (...more: readonly string[]) => say(...register, ...webSocket, ...more)
      assert.match(await ask('Origin: https://evil.example'), /^HTTP\/1.1 403 [\s\S]*not allowed for a web page/)
      assert.deepEqual(statusesIn(await ask('Sec-Fetch-Site: cross-site')), [403])
      assert.deepEqual(statusesIn(await ask(...crowd(1_000))), [431])
      assert.deepEqual(statusesIn(await ask('Host: localhost')), [400])
    })
  }
})
