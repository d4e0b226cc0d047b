import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { connect } from 'node:http2'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { askHttp2, beginHttp2 } from '../support/http2/http2-caller.js'
import { ALL_TOKEN, GIT_TOKEN, startRootListeners } from '../support/relays/root-listeners.js'

const run = promisify(execFile)
const SECTIONS = `[[service_listener]]
listen = "127.0.0.1:0"
tls = false
fixed = "git"

[[service_listener]]
listen = "localhost:0"
suffix = "services.example"
`

function overTls(t: TestContext, port: number, servername: string, localAddress = '127.0.0.1') {
  const options = { servername, localAddress, rejectUnauthorized: false }
  const session = connect(`https://127.0.0.1:${port}`, options)
  session.on('error', () => undefined)
  t.after(() => session.destroy())
  return session
}

test('callers in HTTP/2 are admitted and led to services as those in HTTP/1.1 are', async t => {
  const { ports, pathPort, call } = await startRootListeners(t, SECTIONS)
  const [plain = 0, named = 0] = ports

  await t.test('curl, over TLS and without it', async () => {
    const insecure = ['-sSk', '-w', ' %{http_version} %{response_code}']
    const to = `git.services.example:${named}:127.0.0.1:${named}`
    const url = `https://git.services.example:${named}`
    const over = await run('curl', [...insecure, '--http2', '--connect-to', to, `${url}/a%2Fb?c`])
    assert.equal(over.stdout, 'git was asked for /a%2Fb?c with prefix none 2 200')
    const old = await run('curl', [...insecure, '--http1.1', '--connect-to', to, `${url}/`])
    assert.match(old.stdout, / 1\.1 200$/)
    const moved = await run('curl', [...insecure, '-L', '--http2', '--connect-to', to, `${url}/moved`])
    assert.match(moved.stdout, /git was asked for \/there\?x with prefix none 2 200$/)
    const prior = ['--http2-prior-knowledge', `http://127.0.0.1:${plain}/a`]
    assert.match((await run('curl', [...insecure, ...prior])).stdout, /git was asked for \/a .* 2 200$/)
    const upgraded = ['--http2', `http://127.0.0.1:${plain}/a`] // h2c by Upgrade is not there: HTTP/1.1 goes on
    assert.match((await run('curl', [...insecure, ...upgraded])).stdout, /git was asked for \/a .* 1\.1 200$/)
  })

  await t.test('a name for another service over the same connection: 421', async () => {
    const session = overTls(t, named, 'git.services.example')
    const [own, other] = await Promise.all(
      ['git', 'web'].map(key => askHttp2(session, { ':path': '/', ':authority': `${key}.services.example` }))
    )
    assert.equal(own?.status, 200)
    assert.equal(other?.status, 421)
    assert.match(other?.text ?? '', /the host of the request names the service web/)
  })

  await t.test('tokens, web pages and unknown hosts', async () => {
    const authority = 'git.services.example'
    const away = overTls(t, named, authority, '127.0.0.2')
    const ask = (headers = {}) => askHttp2(away, { ':path': '/', ':authority': authority, ...headers })
    assert.equal((await ask()).status, 401)
    assert.equal((await ask({ 'x-relay-token': GIT_TOKEN })).status, 200)
    assert.equal((await ask({ authorization: `Bearer ${ALL_TOKEN}` })).status, 200)
    const near = overTls(t, named, authority)
    const page = { ':path': '/', ':authority': authority, origin: 'https://elsewhere.example' }
    assert.equal((await askHttp2(near, page)).status, 403)
    const session = connect(`http://127.0.0.1:${plain}`)
    t.after(() => session.destroy())
    assert.equal((await askHttp2(session, { ':path': '/', ':authority': 'page.example' })).status, 403)
  })

  await t.test('many requests at once share a connection', async () => {
    const session = overTls(t, named, 'git.services.example')
    const asked = Array.from({ length: 100 }, (_, at) => {
      return beginHttp2(session, { ':path': `/${at}`, ':authority': 'git.services.example' }, true).answer
    })
    for (const [at, { status, text }] of (await Promise.all(asked)).entries()) {
      assert.equal(status, 200)
      assert.ok(text.includes(`asked for /${at} `), text)
    }
  })

  await t.test('not at services.listen, whose callers ask by a path', async () => {
    const session = connect(`http://127.0.0.1:${pathPort}`)
    session.on('error', () => undefined)
    t.after(() => session.destroy())
    assert.equal((await askHttp2(session, { ':path': '/v1/relay/git/' })).status, undefined)
    assert.equal((await call({ port: pathPort, path: '/v1/relay/git/' })).status, 200)
  })
})
