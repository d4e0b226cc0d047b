import assert from 'node:assert/strict'
import { startRawService, testOverLevels } from '../../support/parts/raw-services.js'

const GET = 'GET /v1/relay/git/x HTTP/1.1\r\nHost: entry\r\n\r\n'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

for (const [what, answer, got, method = 'GET'] of [
  ['with a length', OK, /^HTTP\/1\.1 200 OK\r\nContent-Length: 2\r\n\r\nok$/],
  [
    'in chunks, with trailers',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n',
    /\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n$/
  ],
  ['204', 'HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n', /^HTTP\/1\.1 204 No Content\r\nX-A: b\r\n\r\n$/],
  [
    '304 without a length',
    'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n',
    /^HTTP\/1\.1 304 Not Modified\r\nETag: "a"\r\n\r\n$/
  ],
  [
    '304 with a length',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n',
    /^HTTP\/1\.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n$/
  ],
  [
    'HEAD with a length',
    'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n',
    /^HTTP\/1\.1 200 OK\r\nContent-Length: 100\r\n\r\n$/,
    'HEAD'
  ],
  [
    'without a reason',
    'HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok',
    /^HTTP\/1\.1 200 \r\nContent-Length: 2\r\n\r\nok$/
  ],
  ['with a status of its own', 'HTTP/1.1 799 Odd\r\nContent-Length: 2\r\n\r\nok', /^HTTP\/1\.1 799 Odd\r\n/],
  [
    'behind a 103',
    `HTTP/1.1 103 Early Hints\r
Link: <a>\r
\r
${OK}`,
    /^HTTP\/1\.1 200 OK\r\nContent-Length: 2\r\n\r\nok$/
  ],
  [
    'with ranges and codings',
    'HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-1/9\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nok',
    /\r\nContent-Range: bytes 0-1\/9\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nok$/
  ],
  [
    'without headers of ours or of the connection',
    'HTTP/1.1 200 OK\r\ntreeline-x: 1\r\nKeep-Alive: timeout=5\r\nConnection: X-N\r\nX-N: 1\r\nContent-Length: 2\r\n\r\nok',
    /^HTTP\/1\.1 200 OK\r\nContent-Length: 2\r\n\r\nok$/
  ]
] as const) {
  testOverLevels(`an answer ${what} comes, and the next request goes over the same connections`, async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const caller = tree.call()
    const service = await tree
      .call()
      .send('')
      .until(/^/)
      .then(async () => {
        caller.send(GET.replace('GET', method))
        return tree.accepted()
      })
    await service.until(/\r\n\r\n/)
    service.send(answer)
    const end = got.source.endsWith('$') ? got : /ok$/
    assert.match(await caller.until(end), got)
    caller.text = ''
    service.text = ''
    caller.send(GET)
    await service.until(/\r\n\r\n/)
    service.send(OK)
    await caller.until(/ok$/)
    assert.equal(tree.connections(), 1)
  })
}

testOverLevels(
  'an answer that ends with its connection comes in chunks, and to HTTP/1.0 as it came',
  async (t, levels) => {
    for (const [version, got] of [
      ['1.1', /\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n$/],
      ['1.0', /\r\nConnection: close\r\n\r\nok$/]
    ] as const) {
      const tree = await startRawService(t, { levels })
      const caller = tree.call().send(GET.replace('1.1', version))
      const service = await tree.accepted()
      await service.until(/\r\n\r\n/)
      service.send('HTTP/1.1 200 OK\r\n\r\nok').socket.end()
      assert.match(version === '1.0' ? await caller.closed() : await caller.until(got), got)
    }
  }
)

testOverLevels('an answer that breaks off does not pass for a whole one', async (t, levels) => {
  const tree = await startRawService(t, { levels })
  for (const begun of [
    'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n'
  ] as const) {
    for (const leave of ['end', 'resetAndDestroy'] as const) {
      const caller = tree.call().send(GET)
      const service = await tree.accepted()
      await service.until(/\r\n\r\n/)
      service.send(begun)
      await caller.until(/ok/)
      service.socket[leave]()
      const text = await caller.closed()
      assert.doesNotMatch(text, /0\r\n\r\n$/)
      assert.equal(caller.hasEnded, false, 'it was reset')
    }
  }
})

for (const [what, answer, reason] of [
  ['no answer at all', '', /closed the connection/],
  ['half a head', 'HTTP/1.1 200 OK\r\nA: b', /closed the connection/],
  ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', /malformed/],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na', /malformed/],
  [
    'a head that is too long',
    `HTTP/1.1 200 OK\r
A: ${'b'.repeat(7e4)}\r
\r
`,
    /malformed|longer|bytes/
  ],
  ['a 101 that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nraw', /nobody asked/],
  [
    'a head that grows beyond 80 KiB on its way',
    `HTTP/1.1 200 OK\r\nLink: ${'</>,'.repeat(8_000)}\r\nContent-Length: 0\r\n\r\n`,
    /81920 bytes/
  ],
  [
    'a head that grows beyond 256 KiB on its way',
    `HTTP/1.1 200 OK\r\nLink: ${'</>,'.repeat(16_000)}\r\nContent-Length: 0\r\n\r\n`,
    /81920 bytes/
  ],
  ['a 1xx in a loop', 'HTTP/1.1 102 Go\r\n\r\n'.repeat(100), /1xx/]
] as const) {
  testOverLevels(`a service that gives ${what} is a 502 that says why`, async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const caller = tree.call().send(GET)
    const service = await tree.accepted()
    await service.until(/\r\n\r\n/)
    service.send(answer).socket.end()
    assert.match(await caller.until(/\r\n\r\n.+\n$/), /^HTTP\/1\.1 502 Bad Gateway\r\n/)
    assert.match(caller.text, reason)
  })
}
