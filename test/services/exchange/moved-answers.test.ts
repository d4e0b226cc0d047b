import assert from 'node:assert/strict'
import { startRawService, testOverLevels } from '../../support/parts/raw-services.js'

const SERVICE = 'SERVICE'
const ENTRY = 'http://entry:7'

/** Fields of an answer as the service gives them, and as the caller gets them; the base URL is `http://SERVICE/base`. */
const MOVED = [
  ['Location', `http://${SERVICE}/base/a?b#c`, `${ENTRY}/v1/relay/git/a?b#c`],
  ['Location', `HTTP://${SERVICE}/base`, `${ENTRY}/v1/relay/git/`],
  ['Location', `http://${SERVICE}/base?q`, `${ENTRY}/v1/relay/git?q`],
  ['Location', `//${SERVICE}/base/a`, `${ENTRY}/v1/relay/git/a`],
  ['Location', '/base/a%2Fb;c', '/v1/relay/git/a%2Fb;c'],
  ['Content-Location', '/base/a', '/v1/relay/git/a'],
  ['Content-Location', `http://${SERVICE}/base/a`, `${ENTRY}/v1/relay/git/a`],
  ['Refresh', '5; url=/base/a', '5; url=/v1/relay/git/a'],
  ['Refresh', `0;URL="http://${SERVICE}/base/a"`, `0;URL="${ENTRY}/v1/relay/git/a"`],
  ['Refresh', '5, /base/a', '5, /v1/relay/git/a'],
  ['Refresh', "5 url = '/base/a'", "5 url = '/v1/relay/git/a'"],
  ['Refresh', '30', '30'],
  [
    'Link',
    `</base/2>; rel="next", <http://${SERVICE}/base/9>; rel=last, <https://else.where/base/1>`,
    `</v1/relay/git/2>; rel="next", <${ENTRY}/v1/relay/git/9>; rel=last, <https://else.where/base/1>`
  ],
  ['Set-Cookie', 'a=b; Path=/base/x; Domain=service.internal; HttpOnly', 'a=b; Path=/v1/relay/git/x; HttpOnly'],
  ['Set-Cookie', 'a=b; path=/; Secure; SameSite=None', 'a=b; Path=/v1/relay/git/; Secure; SameSite=None'],
  ['Set-Cookie', 'a="; Path=/x"', 'a="; Path=/v1/relay/git/']
] as const

/** Fields that stay as they are. */
const STAYING = [
  ['Location', 'https://else.where/base/a'],
  ['Location', `http://${SERVICE}/other`],
  ['Location', `http://${SERVICE}/basement`],
  ['Location', `https://${SERVICE}/base/a`],
  ['Location', '/other'],
  ['Location', 'a/b?c'],
  ['Location', '?page=2'],
  ['Location', `http://${SERVICE}@else.where/base/`],
  ['Location', 'ssh://git@else.where/base'],
  ['Content-Location', ''],
  ['X-Url', `http://${SERVICE}/base/a`]
] as const

testOverLevels('URLs below the base URL and cookies lead to the place where the caller asked', async (t, levels) => {
  const tree = await startRawService(t, { levels, basePath: '/base' })
  const address = `127.0.0.1:${tree.servicePort}`
  const caller = tree.call()
  let service: Awaited<ReturnType<typeof tree.accepted>> | undefined
  for (const [name, given, got] of [...MOVED, ...STAYING.map(([name, value]) => [name, value, value] as const)]) {
    caller.text = ''
    caller.send('GET /v1/relay/git/x HTTP/1.1\r\nHost: entry:7\r\n\r\n')
    service ??= await tree.accepted()
    assert.match(await service.until(/\r\n\r\n/), /^GET \/base\/x HTTP/)
    service.text = ''
    const value = given.replaceAll(SERVICE, address)
    service.send(`HTTP/1.1 302 Found\r\n${name}: ${value}\r\nContent-Length: 4\r\n\r\n/ba\n`)
    const answer = await caller.until(/\r\n\r\n\/ba\n$/)
    const line = `${name}: ${got.replaceAll(SERVICE, address)}`
    assert.ok(answer.split('\r\n').includes(line), `${value}: not ${line} but ${answer}`)
  }
})

testOverLevels(
  'a cookie without a path is of the folder that was asked, and never of all services',
  async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const caller = tree.call()
    let service: Awaited<ReturnType<typeof tree.accepted>> | undefined
    for (const [path, got] of [
      ['/v1/relay/git', 'a=b; Path=/v1/relay/git/; Secure'],
      ['/v1/relay/git/', 'a=b; Path=/v1/relay/git/; Secure'],
      ['/v1/relay/git/page?x=/y', 'a=b; Path=/v1/relay/git/; Secure'],
      ['/v1/relay/git/folder/page', 'a=b; Secure'] // the caller takes /v1/relay/git/folder
    ] as const) {
      caller.text = ''
      caller.send(`GET ${path} HTTP/1.1\r\nHost: e\r\n\r\n`)
      service ??= await tree.accepted()
      await service.until(/\r\n\r\n/)
      service.text = ''
      service.send('HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Domain=e; Secure\r\nContent-Length: 2\r\n\r\nok')
      assert.ok((await caller.until(/ok$/)).split('\r\n').includes(`Set-Cookie: ${got}`), path)
    }
  }
)

testOverLevels(
  'the service is asked by the host of its base URL, and learns by which the caller asked',
  async (t, levels) => {
    const tree = await startRawService(t, { levels, basePath: '/base' })
    for (const [request, host] of [
      ['GET /v1/relay/git/x HTTP/1.1\r\nHost: entry.example:80\r\n\r\n', 'entry.example:80'],
      ['GET http://other.example/v1/relay/git/x HTTP/1.1\r\nHost: entry.example\r\n\r\n', 'other.example'],
      ['GET /v1/relay/git/x HTTP/1.0\r\n\r\n', `127.0.0.1:${tree.port}`]
    ] as const) {
      const caller = tree.call().send(request)
      const service = await tree.accepted()
      const lines = (await service.until(/\r\n\r\n/)).split('\r\n')
      assert.equal(lines[0], 'GET /base/x HTTP/1.1')
      assert.deepEqual(
        lines.filter(line => /^Host:/i.test(line)),
        [`Host: 127.0.0.1:${tree.servicePort}`]
      )
      assert.ok(lines.includes(`X-Forwarded-Host: ${host}`), lines.join('\n'))
      assert.ok(lines.includes(`Forwarded: for=127.0.0.1;host="${host}";proto=http`))
      service.send('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')
      await caller.until(/ok$/)
    }
  }
)
