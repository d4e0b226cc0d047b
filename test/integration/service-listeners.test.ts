import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { eventually } from '../support/eventually.js'
import { ALL_TOKEN, GIT_TOKEN, startRootListeners } from '../support/relays/root-listeners.js'

const FIXED = `[[service_listener]]
listen = "127.0.0.1:0"
tls = false
fixed = "git"
`
const NAMED = `[[service_listener]]
listen = "localhost:0"
suffix = "services.example"
[service_listener.server_names]
"www.example" = "web"
`
const ELSEWHERE = '127.0.0.2'

test('services at a root of their own', async t => {
  const { ports, pathPort, call, held, edit, reload, openedPort, overTls } = await startRootListeners(t, FIXED + NAMED)
  const [plain = 0, named = 0] = ports
  const byName = (servername: string, host: string, more = {}) =>
    call({ port: named, host, secure: { servername }, ...more })

  await t.test('paths reach the service unchanged, and redirects stay at the root', async () => {
    for (const path of ['/a%2Fb//c;d?x=%20', '/v1/relay/web/', '/?']) {
      const { status, text } = await call({ port: plain, path })
      assert.equal(status, 200)
      assert.ok(text.includes(`git was asked for ${path} with prefix none`), text)
    }
    const { text } = await call({ port: plain, path: '/moved' })
    assert.match(text, new RegExp(`^location: http://127\\.0\\.0\\.1:${plain}/there\\?x\\r$`, 'im'))
    assert.equal((await call({ port: plain, path: '/a/%2e%2e/b' })).status, 400)
  })

  await t.test('the server name decides, in TLS 1.2 and 1.3', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const only = { minVersion: version, maxVersion: version }
      for (const [name, key] of [
        ['git.services.example', 'git'],
        ['WEB.Services.example', 'web'],
        ['www.example', 'web']
      ] as const) {
        const { status, text } = await byName(name, name, { secure: { servername: name, ...only } })
        assert.equal(status, 200, text)
        assert.ok(text.includes(`${key} was asked for /`), text)
      }
    }
  })

  await t.test('two that name different services: 421', async () => {
    const other = await byName('git.services.example', 'web.services.example')
    assert.equal(other.status, 421)
    assert.match(other.text, /the host of the request names the service web, and the server name of TLS names git/)
    const lines = [`X-Relay-Token: ${GIT_TOKEN}`]
    assert.equal((await byName('www.example', 'www.example', { lines })).status, 421)
    assert.equal((await byName('unknown.example', 'unknown.example')).status, 421)
    assert.equal((await byName('a.git.services.example', 'services.example')).status, 421)
  })

  await t.test('a token names its service, and admits from elsewhere', async () => {
    const from = ELSEWHERE
    const git = [`X-Relay-Token: ${GIT_TOKEN}`]
    const all = [`X-Relay-Token: ${ALL_TOKEN}`]
    assert.match((await byName('', '127.0.0.1', { from, lines: git })).text, /git was asked for \//)
    assert.match((await byName('www.example', 'www.example', { from, lines: all })).text, /web was asked for \//)
    assert.equal((await byName('', '127.0.0.1', { from, lines: all })).status, 421)
    assert.equal((await byName('www.example', 'www.example', { from })).status, 401)
    assert.equal((await call({ port: plain, from })).status, 401)
    assert.equal((await call({ port: plain, from, lines: git })).status, 200)
  })

  await t.test('TLS 1.1, and a handshake within a connection of TLS 1.2, are refused', async () => {
    const secure = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
    const old = overTls(connect(named, '127.0.0.1'), secure)
    const [refused] = await Promise.race([once(old, 'error'), once(old, 'secureConnect').then(() => [undefined])])
    assert.match(String(refused), /alert protocol version/)
    const socket = connectTls({
      port: named,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      maxVersion: 'TLSv1.2',
      servername: 'www.example'
    })
    await once(socket, 'secureConnect')
    const again = await new Promise<Error | null>(resolve => {
      socket.on('error', resolve)
      socket.on('close', () => resolve(new Error('closed')))
      socket.renegotiate({ rejectUnauthorized: false }, resolve)
    })
    assert.match(String(again), /no renegotiation/i)
    socket.destroy()
  })

  await t.test('a reload opens, changes and closes listeners, and ends no request of the others', async () => {
    const before = call({ port: pathPort, path: '/v1/relay/git/held' })
    const kept = byName('git.services.example', 'git.services.example', { path: '/held' })
    await eventually('both requests', () => held.length === 2)
    await edit(text => text.replace(FIXED, '').concat(FIXED.replace('127.0.0.1', 'localhost').replace('git', 'web')))
    assert.deepEqual((await reload()).status, 200)
    const port = await openedPort(0)
    assert.match((await call({ port })).text, /web was asked for \//)
    await assert.rejects(once(connect(plain, '127.0.0.1'), 'connect'), /ECONNREFUSED/)
    await edit(text => text.replace('fixed = "web"', 'fixed = "git"'))
    await reload()
    assert.match((await call({ port })).text, /git was asked for \//)
    for (const response of held.splice(0)) response.end('at last')
    assert.match((await before).text, /at last/)
    assert.match((await kept).text, /at last/)
  })

  await t.test('a reload that cannot listen, or has no certificate, says so, and the others stay', async () => {
    await edit(text => `${text}\n${FIXED.replace('127.0.0.1:0', `127.0.0.1:${pathPort}`)}`)
    assert.match(
      (await reload()).text,
      /service_listener\[2\]\.listen: cannot listen on 127\.0\.0\.1:\d+: another program/
    )
    const missing = '\n[[service_listener]]\nlisten = "127.0.0.1:0"\ncertificate_file = "no.pem"\nkey_file = "no.key"\n'
    await edit(text => text + missing)
    assert.match((await reload()).text, /service_listener\[3\]\.certificate_file/)
    assert.equal((await byName('www.example', 'www.example')).status, 200)
  })
})
