import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { type IncomingMessage, request as plainRequest } from 'node:http'
import { Agent, request as tlsRequest } from 'node:https'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeAgentCertificate } from '../../demo/pki.js'
import type { TreeMember } from '../../demo/relay-tree.js'
import { type AskOptions, ask } from '../support/http.js'
import { exists } from '../support/joined-tree.js'
import { exchangeRaw, head, statusesIn } from '../support/raw-client.js'
import { sendRaw } from '../support/raw-http.js'
import { startTree } from '../support/relay-tree.js'
import { signContent } from '../support/signed-files.js'
import { editConfig } from '../support/tree-files.js'
import { treeline } from '../support/treeline-command.js'

const TOKEN = 'a-token-that-is-long-enough'

type Call = readonly [method: string, path: string, answer: number | RegExp]

const NO_RUN = '01BX5ZZKBKACTAV9WEVGEMMVRZ'

/**
 * A request for each route, by who may make it, and what it is answered then: a status, or what stands in a refusal
 * that comes from what is behind the check.
 */
const CALLS = {
  open: [
    ['GET', '/uuid', 200],
    ['GET', '/v1/system/alive', 200],
    ['GET', '/v1/system/ready', 200],
    ['GET', '/v1/join/ca', /tree\.source at the root/],
    ['POST', '/v1/join', 400],
    ['POST', '/v1/join/renew', 400]
  ],
  write: [
    ['HEAD', '/shared-files/node-a1/node-a1/f?hash=00', 404],
    ['PUT', '/shared-files/node-a1/stranger/f?ttl=60', 404]
  ],
  read: [
    ['GET', '/shared-files/node-a1/node-a1/f', 404],
    ['GET', '/shared-files/node-a1', 200]
  ],
  folder: [
    ['GET', '/shared-folder/none', 404],
    ['HEAD', '/shared-folder/none', 404]
  ],
  run: [
    ['POST', '/remote-run/all', 200],
    ['POST', '/remote-run/nodes', 400],
    ['POST', '/remote-run/nodes/node-a1', 200]
  ],
  runs: [
    ['GET', '/runs', 200],
    ['GET', `/runs/${NO_RUN}`, 404],
    ['GET', `/runs/${NO_RUN}/events`, 404],
    ['POST', `/runs/${NO_RUN}/cancel`, 404]
  ],
  trace: [['GET', '/trace/node-a1', 200]],
  tree: [
    ['GET', '/v1/tree', 200],
    ['GET', '/v1/revocations', /general\.ca_path/]
  ],
  outbox: [['GET', '/outbox', 200]],
  administration: [
    ['POST', '/outbox/retry', 200],
    ['POST', '/outbox/1/retry', 404],
    ['DELETE', '/outbox/1', 404],
    ['GET', '/nodes', 200],
    ['GET', '/nodes/node-a1', 200],
    ['GET', '/nodes/node-a1/route', 200],
    ['GET', '/v1/relay/links', 200],
    ['DELETE', '/v1/relay/links/node-a1', 404],
    ['GET', '/v1/relay/clients', 200],
    ['DELETE', '/v1/relay/clients/none', 404],
    ['GET', '/v1/tokens', /tree\.source = "members"/],
    ['POST', '/v1/tokens', 400],
    ['DELETE', '/v1/tokens/none', /tree\.source = "members"/],
    ['DELETE', '/v1/members/none', /tree\.source = "members"/],
    ['POST', '/v1/members/none/move', 400]
  ],
  system: [
    ['GET', '/system/info', 200],
    ['GET', '/system/status', 200],
    ['POST', '/system/reload', 200]
  ],
  observation: [
    ['GET', '/metrics', 200],
    ['GET', '/v1/system/metrics', 200],
    ['GET', '/openapi.json', 200]
  ],
  policyServer: [['POST', '/v1/tree/changed', /tree\.source is not "policy-server"/]],
  revocations: [['POST', '/v1/revocations', 400]]
} as const satisfies Readonly<Record<string, readonly Call[]>>

type Group = keyof typeof CALLS

const GROUPS = Object.keys(CALLS) as Group[]

test('who may call what', async t => {
  const tree = await startTree(t, {
    relays: [
      { id: 'root', under: 'root', nodes: ['node-r1'] },
      { id: 'relay-a', under: 'root', nodes: ['node-a1'] },
      { id: 'sub', under: 'relay-a', nodes: ['node-s1'] }
    ],
    absent: ['root', 'relay-a', 'sub'],
    settings: { tokens: ['admin_file = "token"'] }
  })
  const relay = tree.relay('relay-a')
  await Promise.all([...tree.relays.values()].map(({ directory }) => writeFile(join(directory, 'token'), `${TOKEN}\n`)))
  await tree.restart('relay-a')
  await tree.restart('root')
  const member = tree.member('node-a1')
  const certificate = await makeAgentCertificate({ nodeId: 'node-a1', hostname: 'x', kind: 'ec' })
  const unknown: TreeMember = { ...member, certificate }

  /** Those of `allowed` are answered, everything else is 403 and names a setting. */
  async function assertMay(allowed: readonly Group[], options: AskOptions, setting: RegExp = /[a-z_]+\.[a-z_]+/) {
    for (const group of GROUPS) {
      for (const [method, path, expected] of CALLS[group] as readonly Call[]) {
        const answer = await ask(relay, path, { ...options, method })
        const what = `${method} ${path}: ${answer.text}`
        if (!allowed.includes(group)) {
          assert.equal(answer.status, 403, what)
          if (method !== 'HEAD') assert.match(answer.text, setting, what)
          if (typeof expected !== 'number') assert.doesNotMatch(answer.text, expected, what)
        } else if (typeof expected === 'number') assert.equal(answer.status, expected, what)
        else assert.match(answer.text, expected, what)
      }
    }
  }
  const local = GROUPS.filter(group => group !== 'policyServer' && group !== 'revocations')
  const proxied: Group[] = ['open', 'write', 'run']
  const reload = async (edit: (text: string) => string) => {
    await editConfig(relay, edit)
    const answer = await ask(relay, '/system/reload', { method: 'POST' })
    assert.equal(answer.status, 200, answer.text)
  }

  await t.test('every route has its row', async () => {
    const { paths } = JSON.parse((await ask(relay, '/openapi.json')).text) as { paths: Record<string, object> }
    const calls = Object.values(CALLS).flat() as readonly Call[]
    for (const [path, methods] of Object.entries(paths)) {
      const pattern = path.replace('/rudder/relay-api', '').replaceAll(/\{[^}]+\}/g, '[^/]+')
      const called = new RegExp(`^${pattern}(\\?|$)`)
      for (const method of Object.keys(methods)) {
        const isCalled = calls.some(call => call[0] === method.toUpperCase() && called.test(call[1]))
        assert.ok(isCalled, `${method} ${path} is not in the table`)
      }
    }
  })

  await t.test('local callers: everything but what the policy server alone may', async () => {
    await assertMay(local, {})
    await assertMay(local, { headers: { origin: relay.localUrl } })
  })

  await t.test('through a proxy: files and runs', async () => {
    const marks = {
      'x-forwarded-for': '127.0.0.1',
      forwarded: 'for=127.0.0.1',
      via: '1.1 x',
      'x-real-ip': '127.0.0.1',
      'x-forwarded-proto': 'https',
      'X-Envoy-External-Address': '127.0.0.1'
    }
    for (const [name, value] of Object.entries(marks)) {
      await assertMay(proxied, { headers: { [name]: value } }, /general\.trusted_proxies/)
    }
    const others = [
      'X-Client-IP',
      'CF-Connecting-IP',
      'True-Client-IP',
      'X-Forwarded-Ssl',
      'X-Original-Forwarded-For',
      'CDN-Loop',
      'Client-IP'
    ]
    for (const name of others) {
      const { text } = await ask(relay, '/runs', { headers: { [name]: '' } })
      assert.match(text, /a caller behind a proxy at 127\.0\.0\.1: .*general\.trusted_proxies/, name)
    }
  })

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

  await t.test(
    'over TLS without a certificate, whatever it says: an address, though it is one of loopback',
    async () => {
      await assertMay(['write', 'open'], { as: null })
      await assertMay(['write', 'open'], { as: null, headers: { 'x-forwarded-for': '127.0.0.1' } })
      await assertMay(['write', 'open'], { as: null, headers: { via: '1.1 x' } })
    }
  )

  await t.test('by certificate: a node, a relay below, the policy server, and one that nobody knows', async () => {
    const nodes: Group[] = ['write', 'open', 'folder', 'read']
    await assertMay([...nodes, 'tree', 'trace', 'outbox'], { as: member })
    for (const other of ['relay-a', 'node-s1', 'node-r1', 'stranger']) {
      const { status, text } = await ask(relay, `/trace/${other}`, { as: member })
      assert.equal(status, 403, `${other}: ${text}`)
      assert.match(text, /to that node itself at its own policy server/)
    }
    // the root knows the certificate of node-a1, and would tell what waits for relay-a
    assert.equal((await ask(tree.relay('root'), '/trace/node-a1', { as: member })).status, 403)
    await assertMay(['write', 'open', 'folder', 'trace', 'tree', 'revocations'], { as: tree.member('sub') })
    await assertMay([...nodes, 'run', 'runs', 'trace', 'policyServer', 'revocations'], { as: tree.member('root') })
    await assertMay(['write', 'open'], { as: unknown })
    const refused = await ask(relay, '/remote-run/all', { method: 'POST', as: unknown })
    assert.match(refused.text, /remote_run\.allowed_networks/)
    const folder = await ask(relay, '/shared-folder/none', { as: unknown })
    assert.match(folder.text, /shared_folder\.allowed_networks/)
    assert.match((await ask(relay, '/metrics', { as: unknown })).text, /metrics\.allowed_networks/)
  })

  await t.test(
    'with the token: all but the system; a wrong one is none; a better identity stays what it is',
    async () => {
      const admin: Group[] = [
        'write',
        'open',
        'run',
        'folder',
        'runs',
        'trace',
        'tree',
        'outbox',
        'administration',
        'observation'
      ]
      const headers = { authorization: `Bearer ${TOKEN}` }
      await assertMay(admin, { as: unknown, headers })
      await assertMay(['write', 'open'], { as: unknown, headers: { authorization: `Bearer ${TOKEN}x` } })
      await assertMay(local, { headers })
      await assertMay(proxied, { headers: { via: '1.1 x', authorization: `Bearer ${TOKEN}x` } })
      await assertMay(admin, { headers: { ...headers, via: '1.1 x' } })
      const more = [...admin, 'read'] as const
      await assertMay(more, { as: member, headers })
      await assertMay([...more, 'policyServer', 'revocations'], { as: tree.member('root'), headers })
      await assertMay([...admin, 'revocations'], { as: tree.member('sub'), headers })
      const below = { method: 'GET', as: tree.member('sub'), headers }
      assert.equal((await ask(relay, '/shared-files/sub/node-a1/f', below)).status, 404)
      const off = await ask(tree.relay('root'), '/runs', { as: unknown, headers: { authorization: 'Bearer ' } })
      assert.equal(off.status, 403)
    }
  )

  await t.test('by address, put in force by a reload', async () => {
    const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })
    await reload(text =>
      text
        .replace('[general]', '[general]\ntrusted_proxies = ["127.0.0.0/8"]')
        .replace('[remote_run]', '[remote_run]\nallowed_networks = ["192.0.2.0/24"]')
        .replace('[shared_files]', '[shared_files]\nallowed_networks = ["198.51.100.0/24", "2001:db8::/32"]')
        .concat('[metrics]\nallowed_networks = ["203.0.113.9"]\n')
    )
    await assertMay(['open', 'run'], from('192.0.2.7'))
    await assertMay(['open', 'run'], from('::ffff:192.0.2.7'))
    await assertMay(['open', 'write'], from('192.0.2.7, 198.51.100.1'))
    await assertMay(['open', 'write'], from('2001:db8::7'))
    await assertMay(['open', 'observation'], from('203.0.113.9, 127.0.0.1'))
    await assertMay(['open', 'run'], from('192.0.2.1'))
    for (const client of [
      '192.0.2.7:4000',
      '[::ffff:192.0.2.7]:4000',
      '203.0.113.9:1, 192.0.2.7, 127.0.0.1:2, [::ffff:7f00:1]'
    ]) {
      await assertMay(['open', 'run'], from(client), /an unknown caller at 192\.0\.2\.7: .*[a-z_]+\.[a-z_]+/)
    }
    for (const client of ['[2001:db8::7]:4000', '[2001:DB8:0::7]', '2001:db8::7, 127.0.0.1:1']) {
      await assertMay(['open', 'write'], from(client), /an unknown caller at 2001:db8::7: .*[a-z_]+\.[a-z_]+/)
    }
    await assertMay([...proxied, 'folder'], from('127.0.0.1')) // the agent of this machine
    await assertMay([...proxied, 'folder'], from('127.0.0.1:4000'))
    const unnamed = [
      'unknown',
      '_hidden',
      '192.0.2.7:',
      '192.0.2.7:x',
      '192.0.2.07',
      '[192.0.2.7]',
      '2001:db8::7]',
      ',',
      '192.0.2.7,',
      'a, 127.0.0.1'
    ]
    for (const client of unnamed) {
      const answer = await ask(relay, '/shared-folder/none', from(client))
      assert.match(answer.text, /not allowed for an unknown caller at 127\.0\.0\.1: /, client)
    }
    await assertMay(['open'], from('unknown')) // neither as one of that address, nor as one that a proxy lets in
    await assertMay(proxied, { headers: { via: '1.1 x' } }) // nobody is named
    await assertMay(['open', 'run'], { as: null, ...from('192.0.2.7') })
    await assertMay(['open', 'folder'], { as: null, ...from('127.0.0.1') })
    await assertMay(['open'], { as: null, headers: { via: '1.1 x' } })
    assert.match(
      (await ask(relay, CALLS.write[1][1], { method: 'PUT', ...from('192.0.2.1') })).text,
      /shared_files\.allowed_networks/
    )
    await assertMay(['write', 'open', 'folder', 'read', 'tree', 'trace', 'outbox'], { as: member })
  })

  await t.test('a certificate that a reload removes is not known on an open connection either', async () => {
    const file = signContent('node-a1', member, 'f', 'content')
    assert.equal((await ask(relay, `${file.path}?ttl=60`, { method: 'PUT', body: file.body, as: member })).status, 200)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.after(() => agent.destroy())
    const { certificatePem: cert, privateKeyPem: key } = member.certificate
    const sockets = new Set<unknown>()
    const get = async () => {
      const request = tlsRequest(relay.url + file.path, { agent, cert, key, rejectUnauthorized: false })
      request.end()
      const [response] = await once(request, 'response')
      sockets.add(response.socket)
      response.resume()
      await once(response, 'end')
      return response.statusCode
    }
    assert.equal(await get(), 200)
    const certificates = join(relay.directory, 'allnodescerts.pem')
    const pem = await readFile(certificates, 'utf8')
    await writeFile(certificates, pem.replace(cert, ''))
    await reload(text => text)
    assert.equal(await get(), 403)
    await writeFile(certificates, pem)
    await reload(text => text)
    assert.equal(await get(), 200)
    assert.equal(sockets.size, 1)
  })

  await t.test('at the socket: local; at a listener behind a proxy: nobody is', async () => {
    const socket = join(relay.directory, 'relay.sock')
    await editConfig(relay, text => text.replace('[general]', `[general]\nbehind_proxy = true\nsocket = "${socket}"`))
    await tree.processes.get('relay-a')?.stop()
    await tree.restart('relay-a')
    assert.equal((await stat(socket)).mode & 0o777, 0o660)
    await assertMay(proxied, {}, /general\.trusted_proxies/)
    assert.equal((await askSocket(socket, '/rudder/relay-api/1/runs')).status, 200)
    assert.equal((await askSocket(socket, '/rudder/relay-api/1/runs', { origin: 'null' })).status, 403)
    assert.equal(
      (await askSocket(socket, '/rudder/relay-api/1/runs', { via: '1.1 x' })).status,
      403,
      'a proxy in front'
    )
    const nodes = await treeline(t, ['nodes', 'list', '--config', relay.directory])
    assert.equal(nodes.code, 0, nodes.stderr)
    const process = tree.processes.get('relay-a')
    process?.signal('SIGKILL') // which leaves the socket
    await process?.ended
    await tree.restart('relay-a')
    assert.equal((await askSocket(socket, '/uuid')).status, 200)
    await tree.processes.get('relay-a')?.stop()
    assert.equal(await exists(socket), false)
    await writeFile(socket, 'a file of someone')
    const refused = await treeline(t, ['serve', '--config', relay.directory])
    assert.match(refused.stderr, /general\.socket: .* is there already, and is no socket/)
    assert.equal(await readFile(socket, 'utf8'), 'a file of someone')
  })
})

async function askSocket(socketPath: string, path: string, headers: Record<string, string> = {}) {
  const request = plainRequest({ socketPath, path, headers: { host: 'localhost', ...headers } })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume()
  return { status: response.statusCode }
}
