import assert from 'node:assert/strict'
import { startRawService, testOverLevels } from '../../support/parts/raw-services.js'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

for (const [what, request, seen] of [
  ['any method', 'BREW /v1/relay/git/pot HTTP/1.1\r\nHost: e\r\n\r\n', /^BREW \/pot HTTP\/1\.1\r\n/],
  [
    'the path, byte for byte',
    'GET /v1/relay/git//a%2Fb;c=d//%zz/?q=//..%2f&x HTTP/1.1\r\nHost: e\r\n\r\n',
    /^GET \/\/a%2Fb;c=d\/\/%zz\/\?q=\/\/\.\.%2f&x HTTP\/1\.1\r\n/
  ],
  ['the key alone', 'GET /v1/relay/git HTTP/1.1\r\nHost: e\r\n\r\n', /^GET \/ HTTP/],
  ['a query behind the key', 'GET /v1/relay/git?a=b HTTP/1.1\r\nHost: e\r\n\r\n', /^GET \/\?a=b HTTP/],
  ['an absolute target', 'GET http://e/v1/relay/git/x HTTP/1.1\r\nHost: e\r\n\r\n', /^GET \/x HTTP/],
  [
    'HTTP/1.0 without a host',
    'GET /v1/relay/git/x HTTP/1.0\r\n\r\n',
    /^GET \/x HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n/
  ],
  [
    'headers as they came, those of the connection left out',
    'GET /v1/relay/git/x HTTP/1.1\r\nHost: e\r\nX-Two: 1\r\nx-two: \xE9\r\nConnection: x-named, keep-alive\r\nX-Named: 1\r\nKeep-Alive: 1\r\nProxy-Authorization: a\r\n\r\n',
    /\r\nX-Two: 1\r\nx-two: \xe9\r\nX-Forwarded-For: 127\.0\.0\.1\r\n/
  ],
  [
    'credentials and cookies',
    'GET /v1/relay/git/x HTTP/1.1\r\nHost: e\r\nAuthorization: Basic dTpw\r\nCookie: a=b\r\n\r\n',
    /\r\nAuthorization: Basic dTpw\r\nCookie: a=b\r\n/
  ],
  [
    'TE: trailers',
    'GET /v1/relay/git/x HTTP/1.1\r\nHost: e\r\nConnection: TE\r\nTE: deflate, trailers\r\n\r\n',
    /\r\nTE: trailers\r\n[\s\S]*\r\nConnection: TE\r\n/
  ],
  [
    'who asked, and how, as this relay knows it',
    'GET /v1/relay/git/x HTTP/1.1\r\nHost: entry:1\r\nX-Forwarded-For: 9.9.9.9\r\nForwarded: for=9.9.9.9\r\nX-Forwarded-Host: z\r\nX-Forwarded-Proto: z\r\nX-Forwarded-Prefix: z\r\nX_Forwarded_For: 9.9.9.9\r\nTreeline_Passed: z\r\n\r\n',
    /\r\nX-Forwarded-For: 127\.0\.0\.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: entry:1\r\nX-Forwarded-Prefix: \/v1\/relay\/git\r\nForwarded: for=127\.0\.0\.1;host="entry:1";proto=http\r\n\r\n$/
  ]
] as const) {
  testOverLevels(`a request keeps ${what}`, async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const caller = tree.call().send(request)
    const service = await tree.accepted()
    const text = await service.until(/\r\n\r\n/)
    assert.match(text, seen)
    assert.doesNotMatch(text, /9\.9\.9\.9|X-Named|Keep-Alive|Proxy-Authorization|treeline/i)
    service.send(OK)
    assert.match(await caller.until(/ok$/), /^HTTP\/1\.1 200 OK\r\nContent-Length: 2\r\n/)
  })
}

for (const [what, request, seen] of [
  [
    'with a length',
    'PUT /v1/relay/git/x HTTP/1.1\r\nHost: e\r\nContent-Length: 5\r\n\r\nabcde',
    /\r\nContent-Length: 5\r\n[\s\S]*\r\n\r\nabcde$/
  ],
  ['of length 0', 'POST /v1/relay/git/x HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n', /\r\nContent-Length: 0\r\n/],
  [
    'in chunks, with trailers',
    'PUT /v1/relay/git/x HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n',
    /\r\nTransfer-Encoding: chunked\r\n\r\n(?:3\r\nabc\r\n2\r\nde|5\r\nabcde)\r\n0\r\nX-Sum: 1\r\n\r\n$/
  ],
  [
    'whose length Connection names',
    'PUT /v1/relay/git/x HTTP/1.1\r\nHost: e\r\nConnection: content-length, host\r\nContent-Length: 5\r\n\r\nabcde',
    /\r\nContent-Length: 5\r\n[\s\S]*\r\n\r\nabcde$/
  ]
] as const) {
  testOverLevels(`a body ${what} comes as it was sent`, async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const caller = tree.call().send(request)
    const service = await tree.accepted()
    await service.until(seen)
    service.send(OK)
    await caller.until(/ok$/)
  })
}
