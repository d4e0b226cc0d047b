import assert from 'node:assert/strict'
import { startRawService, testOverLevels } from '../../support/parts/raw-services.js'

const GET = 'GET /v1/relay/git/x HTTP/1.1\r\nHost: e\r\n\r\n'

for (const [what, answer] of [
  [
    'both Content-Length and Transfer-Encoding',
    'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'
  ],
  ['two lengths', 'Content-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
  ['a list of lengths', 'Content-Length: 2, 2\r\n\r\nok'],
  ['a length with a sign', 'Content-Length: +2\r\n\r\nok'],
  ['a coding that is not chunked', 'Transfer-Encoding: gzip\r\n\r\nok'],
  ['chunked not last', 'Transfer-Encoding: chunked, identity\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
  ['a folded line', 'A: b\r\n c\r\nContent-Length: 2\r\n\r\nok'],
  ['a bare CR', 'A: b\rc\r\nContent-Length: 2\r\n\r\nok'],
  ['a bare LF', 'A: b\nContent-Length: 2\r\n\r\nok'],
  ['a blank before the colon', 'Content-Length : 2\r\n\r\nok'],
  ['a NUL', 'A: \0\r\nContent-Length: 2\r\n\r\nok'],
  ['a field without a colon', 'A\r\nContent-Length: 2\r\n\r\nok'],
  ['more than 200 fields', `${'A: b\r\n'.repeat(201)}Content-Length: 2\r\n\r\nok`],
  ['a head over 64 KiB', `A: ${'b'.repeat(66_000)}\r\nContent-Length: 2\r\n\r\nok`]
] as const) {
  testOverLevels(
    `an answer with ${what} is a 502, nothing of it comes, and the next one is none of its`,
    async (t, levels) => {
      const tree = await startRawService(t, { levels })
      const caller = tree.call().send(GET)
      const service = await tree.accepted()
      await service.until(/\r\n\r\n/)
      service.send(`HTTP/1.1 200 OK\r\nX-Leaked: 1\r\n${answer}`)
      assert.match(await caller.until(/\r\n\r\n.+\n$/), /^HTTP\/1\.1 502 [\s\S]*no answer from the service: /)
      assert.doesNotMatch(caller.text, /X-Leaked|ok$/)
      await service.closed()
      caller.text = ''
      caller.send(GET)
      const next = await tree.accepted()
      await next.until(/\r\n\r\n/)
      next.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      assert.match(await caller.until(/ok$/), /^HTTP\/1\.1 200 OK\r\n/)
    }
  )
}

for (const [what, rest] of [
  ['a chunk that is none', 'zz\r\n'],
  ['a chunk that is longer than its size', '1\r\nabc\r\n'],
  ['a size with a blank', '2 \r\nab\r\n'],
  ['a size of 17 digits', '00000000000000002\r\nab\r\n'],
  ['trailers that frame', '0\r\nContent-Length: 5\r\n\r\n'],
  ['trailers without a colon', '0\r\nabc\r\n\r\n']
] as const) {
  testOverLevels(`an answer that goes on with ${what} ends in an error`, async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const caller = tree.call().send(GET)
    const service = await tree.accepted()
    await service.until(/\r\n\r\n/)
    service.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n')
    await caller.until(/ok\r\n$/)
    service.send(rest)
    const text = await caller.closed()
    assert.doesNotMatch(text, /0\r\n\r\n$/)
    assert.equal(caller.hasEnded, false, 'it was reset')
  })
}

testOverLevels(
  'what a service sends behind its answer, or unasked, is no answer to the next request',
  async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const caller = tree.call().send(GET)
    const first = await tree.accepted()
    await first.until(/\r\n\r\n/)
    const stray = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray'
    first.send(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${stray}`)
    assert.match(await caller.until(/ok/), /ok$/)
    await first.closed()
    caller.text = ''
    caller.send(GET)
    const second = await tree.accepted()
    await second.until(/\r\n\r\n/)
    second.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine')
    await caller.until(/mine$/)
    second.send(stray) // between two requests
    await second.closed()
    caller.text = ''
    caller.send(GET)
    const third = await tree.accepted()
    await third.until(/\r\n\r\n/)
    third.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine')
    assert.doesNotMatch(await caller.until(/mine$/), /stray/)
  }
)
