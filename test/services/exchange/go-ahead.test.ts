import assert from 'node:assert/strict'
import { startRawService, testOverLevels } from '../../support/parts/raw-services.js'

const EXPECT = 'PUT /v1/relay/git/x HTTP/1.1\r\nHost: e\r\nExpect: 100-continue\r\n'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** The bodies of requests: their framing, and the body as it is sent and as it comes. */
const BODIES = [
  ['with a length', 'Content-Length: 3', 'abc', /\r\n\r\nabc$/],
  ['in chunks', 'Transfer-Encoding: chunked', '3\r\nabc\r\n0\r\n\r\n', /\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/]
] as const

for (const [kind, framing, body, got] of BODIES) {
  testOverLevels(`a body ${kind} waits for the go-ahead of the service, and comes behind it`, async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const caller = tree.call().send(`${EXPECT}${framing}\r\n\r\n`)
    const service = await tree.accepted()
    assert.match(await service.until(/\r\n\r\n/), /\r\nExpect: 100-continue\r\n[\s\S]*\r\n\r\n$/)
    assert.equal(caller.text, '', 'no go-ahead but that of the service')
    service.send('HTTP/1.1 100 Continue\r\n\r\n')
    assert.equal(await caller.until(/\r\n\r\n/), 'HTTP/1.1 100 Continue\r\n\r\n')
    caller.send(body)
    await service.until(got)
    service.send(OK)
    await caller.until(/ok$/)
  })

  testOverLevels(`a body ${kind} is not waited for: it comes without a go-ahead`, async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const caller = tree.call().send(`${EXPECT}${framing}\r\n\r\n${body}`)
    const service = await tree.accepted()
    await service.until(got)
    service.send(`HTTP/1.1 100 Continue\r\n\r\n${OK}`)
    assert.match(await caller.until(/ok$/), /^(?:HTTP\/1\.1 100 Continue\r\n\r\n)?HTTP\/1\.1 200 OK\r\n/)
    caller.text = ''
    caller.send('GET /v1/relay/git/next HTTP/1.1\r\nHost: e\r\n\r\n') // the connections go on
    await service.until(/GET \/next [\s\S]*\r\n\r\n$/)
    service.send(OK)
    await caller.until(/ok$/)
  })

  for (const status of ['401 Unauthorized', '413 Too Much', '417 No'] as const) {
    testOverLevels(
      `a service answers ${status} in place of a go-ahead, and gets no body ${kind}`,
      async (t, levels) => {
        const tree = await startRawService(t, { levels })
        const caller = tree.call().send(`${EXPECT}${framing}\r\n\r\n`)
        const service = await tree.accepted()
        const head = await service.until(/\r\n\r\n/)
        service.send(`HTTP/1.1 ${status}\r\nWWW-Authenticate: Basic realm="a"\r\nContent-Length: 2\r\n\r\nno`)
        const answer = await caller.until(/no$/)
        assert.ok(answer.startsWith(`HTTP/1.1 ${status}\r\nWWW-Authenticate: Basic realm="a"\r\n`), answer)
        assert.match(answer, /\r\nConnection: close\r\n/) // a body that comes now would be the next request
        await caller.closed()
        await service.closed()
        assert.equal(service.text, head)
      }
    )

    testOverLevels(`${status} comes also to a caller that did not wait with a body ${kind}`, async (t, levels) => {
      const tree = await startRawService(t, { levels })
      const caller = tree.call().send(`${EXPECT}${framing}\r\n\r\n${body.slice(0, 2)}`)
      const service = await tree.accepted()
      await service.until(/\r\n\r\n/)
      service.send(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno`).socket.end()
      await caller.until(/no$/)
      caller.send(body.slice(2))
      assert.ok((await caller.closed()).startsWith(`HTTP/1.1 ${status}\r\n`), caller.text)
    })
  }
}

testOverLevels('a go-ahead that nobody asked for, and one for HTTP/1.0, is dropped', async (t, levels) => {
  const tree = await startRawService(t, { levels })
  for (const request of [
    'PUT /v1/relay/git/x HTTP/1.1\r\nHost: e\r\nContent-Length: 3\r\n\r\nabc',
    'PUT /v1/relay/git/x HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc'
  ]) {
    const caller = tree.call().send(request)
    const service = await tree.accepted()
    assert.doesNotMatch(await service.until(/abc$/), /expect/i)
    service.send(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok`)
    assert.match(await caller.until(/ok$/), /^HTTP\/1\.1 200 OK\r\n/)
  }
})

testOverLevels('an answer that ends while a large body still goes comes whole', async (t, levels) => {
  const tree = await startRawService(t, { levels })
  const caller = tree.call().send('POST /v1/relay/git/x HTTP/1.1\r\nHost: e\r\nContent-Length: 3000000\r\n\r\n')
  const service = await tree.accepted()
  await service.until(/\r\n\r\n/)
  caller.send(Buffer.alloc(1_000_000))
  service.send('HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno')
  await caller.until(/no$/)
  caller.send(Buffer.alloc(2_000_000))
  assert.match(await caller.closed(), /^HTTP\/1\.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno$/)
  assert.equal(caller.hasEnded, true)
})
