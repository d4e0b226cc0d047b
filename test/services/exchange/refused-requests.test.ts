import assert from 'node:assert/strict'
import { startRawService, testOverLevels } from '../../support/parts/raw-services.js'

for (const [what, request, status] of [
  [
    'both Content-Length and Transfer-Encoding',
    'POST /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400
  ],
  [
    'lengths that differ',
    'POST /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na',
    400
  ],
  [
    'chunked not last',
    'POST /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n',
    400
  ],
  ['a folded line', 'GET /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nA: b\r\n c\r\n\r\n', 400],
  ['a bare LF', 'GET /v1/relay/git/ HTTP/1.1\nHost: e\n\n', 400],
  ['a blank before the colon', 'GET /v1/relay/git/ HTTP/1.1\r\nHost : e\r\n\r\n', 400],
  [
    'an upgrade that is none',
    'GET /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nConnection: Upgrade\r\nUpgrade: "a"\r\n\r\n',
    400
  ],
  [
    'an upgrade that is too long',
    `GET /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nConnection: Upgrade\r\nUpgrade: ${'a'.repeat(1_025)}\r\n\r\n`,
    400
  ],
  ['a host that is too long', `GET /v1/relay/git/ HTTP/1.1\r\nHost: ${'h'.repeat(1_025)}\r\n\r\n`, 400],
  ['a NUL', 'GET /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nA: \0\r\n\r\n', 400],
  ['a bare CR', 'GET /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nA: b\rc\r\n\r\n', 400],
  ['a NUL in the target', 'GET /v1/relay/git/\0 HTTP/1.1\r\nHost: e\r\n\r\n', 400],
  ['a blank in the target', 'GET /v1/relay/git/a b HTTP/1.1\r\nHost: e\r\n\r\n', 400],
  ['a folded first line', 'GET /v1/relay/git/ HTTP/1.1\r\n A: b\r\nHost: e\r\n\r\n', 400],
  ['a field without a colon', 'GET /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nabc\r\n\r\n', 400],
  ['the same length twice', 'POST /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nContent-Length: 1, 1\r\n\r\na', 400],
  ['a length with a sign', 'POST /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nContent-Length: +1\r\n\r\na', 400],
  ['a negative length', 'POST /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nContent-Length: -1\r\n\r\n', 400],
  [
    'two codings, both chunked',
    'POST /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400
  ],
  ['a coding in HTTP/1.0', 'POST /v1/relay/git/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
  [
    'a coding with a tab behind it',
    'POST /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n',
    400
  ],
  ['a user in the target', 'GET http://u@e/v1/relay/git/ HTTP/1.1\r\nHost: e\r\n\r\n', 400],
  ['more than 200 fields', `GET /v1/relay/git/ HTTP/1.1\r\nHost: e\r\n${'A: b\r\n'.repeat(201)}\r\n`, 431],
  ['no Host', 'GET /v1/relay/git/ HTTP/1.1\r\n\r\n', 400],
  ['two Hosts', 'GET /v1/relay/git/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
  ['.. in the path', 'GET /v1/relay/git/a/%2e%2e/b HTTP/1.1\r\nHost: e\r\n\r\n', 400],
  ['.. in the key', 'GET /v1/relay/../git HTTP/1.1\r\nHost: e\r\n\r\n', 404],
  [
    'a head over 64 KiB',
    `GET /v1/relay/git/ HTTP/1.1\r
Host: e\r
A: ${'b'.repeat(7e4)}\r
\r
`,
    431
  ],
  ['another version', 'GET /v1/relay/git/ HTTP/3.0\r\nHost: e\r\n\r\n', 505],
  ['CONNECT', 'CONNECT e:1 HTTP/1.1\r\nHost: e:1\r\n\r\n', 501],
  ['TRACE', 'TRACE /v1/relay/git/ HTTP/1.1\r\nHost: e\r\n\r\n', 501],
  ['another path', 'GET / HTTP/1.1\r\nHost: e\r\n\r\n', 404],
  ['a key that is a path of ours', 'GET /v1/relay/clients HTTP/1.1\r\nHost: e\r\n\r\n', 404],
  ['a key under which nobody is registered', 'GET /v1/relay/other/ HTTP/1.1\r\nHost: e\r\n\r\n', 502],
  ['a chunk that is none', 'POST /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 400],
  [
    'a chunk with trailers that frame',
    'POST /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n',
    400
  ]
] as const) {
  testOverLevels(`${what}: ${status}, and the service sees nothing of it`, async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const caller = tree.call().send(request)
    assert.match(await caller.until(/\r\n\r\n.+\n/), new RegExp(`^HTTP/1\\.1 ${status} `))
    if (status === 400 && !request.includes('%2e')) await caller.closed()
    if (!what.startsWith('a chunk')) assert.equal(tree.connections(), 0)
  })
}
