import assert from 'node:assert/strict'
import { eventually } from '../../support/eventually.js'
import { startRawService, testOverLevels } from '../../support/parts/raw-services.js'

const GET = 'GET /v1/relay/git/x HTTP/1.1\r\nHost: e\r\n\r\n'

testOverLevels('every byte of a request and of its answer goes on at once', async (t, levels) => {
  const tree = await startRawService(t, { levels })
  const caller = tree.call()
  for (const byte of 'POST /v1/relay/git/x HTTP/1.1\r\nHost: e\r\nContent-Length: 3\r\n\r\n') caller.send(byte)
  const service = await tree.accepted()
  await service.until(/\r\n\r\n$/)
  for (const byte of 'abc') {
    caller.send(byte)
    await service.until(new RegExp(`${byte}$`))
  }
  for (const byte of 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n') service.send(byte)
  await caller.until(/\r\n\r\n$/)
  for (const byte of 'xyz') {
    service.send(byte)
    await caller.until(new RegExp(`${byte}$`))
  }
})

testOverLevels(
  'chunks of a request and of its answer go on at once, each as soon as a part of it is there',
  async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const caller = tree.call().send('POST /v1/relay/git/x HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n')
    const service = await tree.accepted()
    await service.until(/\r\n\r\n$/)
    service.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    await caller.until(/\r\n\r\n$/)
    for (const [from, to] of [
      [caller, service],
      [service, caller]
    ] as const) {
      from.send('a\r\nfirst')
      await to.until(/\r\n5\r\nfirst\r\n$/)
      from.send('again')
      await to.until(/\r\n5\r\nagain\r\n$/)
      from.send('\r\n0\r\n\r\n')
      await to.until(/\r\n0\r\n\r\n$/)
    }
  }
)

testOverLevels('a caller that reads slowly slows the service, and the other way round', async (t, levels) => {
  const tree = await startRawService(t, { levels })
  const piece = Buffer.alloc(1_000_000, 'x')
  const bytes = 40 * piece.length
  const caller = tree.call().send(`POST /v1/relay/git/x HTTP/1.1\r\nHost: e\r\nContent-Length: ${bytes}\r\n\r\n`)
  const service = await tree.accepted()
  await service.until(/\r\n\r\n$/)
  service.send(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`)
  await caller.until(/\r\n\r\n$/)
  for (const [from, to] of [
    [caller, service],
    [service, caller]
  ] as const) {
    to.text = ''
    to.socket.pause()
    for (let sent = 0; sent < bytes; sent += piece.length) from.send(piece)
    // what is left in the sender's own buffer stays the same once all others are full
    let before = -1
    await eventually('the sender to wait', () => {
      const isSame = before === from.socket.writableLength
      before = from.socket.writableLength
      return isSame
    })
    assert.ok(before > bytes / 2, `only ${before} bytes wait at the sender`)
    to.socket.resume()
    await eventually('all of it', () => to.text.length === bytes)
  }
})

for (const [what, answer] of [
  ['before its answer', ''],
  ['in the middle of a length', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst'],
  ['between chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n'],
  ['in an answer until the end', 'HTTP/1.1 200 OK\r\n\r\nfirst']
] as const) {
  for (const leave of ['end', 'resetAndDestroy'] as const) {
    testOverLevels(`a caller that leaves (${leave}) ${what} ends the request at the service`, async (t, levels) => {
      const tree = await startRawService(t, { levels })
      const caller = tree.call().send(GET)
      const service = await tree.accepted()
      await service.until(/\r\n\r\n/)
      service.send(answer)
      if (answer !== '') await caller.until(/first/)
      caller.socket[leave]()
      await service.closed()
    })
  }
}

testOverLevels(
  'a caller that leaves in the middle of its body ends the request, and no service takes it for whole',
  async (t, levels) => {
    const tree = await startRawService(t, { levels })
    for (const framing of ['Content-Length: 9', 'Transfer-Encoding: chunked']) {
      for (const leave of ['end', 'resetAndDestroy'] as const) {
        const caller = tree.call().send(`POST /v1/relay/git/x HTTP/1.1\r\nHost: e\r\n${framing}\r\n\r\n5\r\nabc`)
        const service = await tree.accepted()
        await service.until(/abc/)
        caller.socket[leave]()
        assert.doesNotMatch(await service.closed(), /0\r\n\r\n$/)
      }
    }
  }
)

testOverLevels(
  'an answer until the end that breaks off does not look complete, to HTTP/1.0 neither',
  async (t, levels) => {
    const tree = await startRawService(t, { levels })
    for (const version of ['HTTP/1.1', 'HTTP/1.0']) {
      const caller = tree.call().send(GET.replace('HTTP/1.1', version))
      const service = await tree.accepted()
      await service.until(/\r\n\r\n/)
      service.send('HTTP/1.1 200 OK\r\n\r\nfirst')
      await caller.until(/first/)
      service.socket.resetAndDestroy()
      assert.doesNotMatch(await caller.closed(), /0\r\n\r\n$/)
      assert.equal(caller.hasEnded, false, `${version}: it was reset`)
    }
  }
)

testOverLevels('an answer in chunks that breaks off does not look complete to HTTP/1.0', async (t, levels) => {
  const tree = await startRawService(t, { levels })
  for (const leave of ['end', 'resetAndDestroy'] as const) {
    const caller = tree.call().send(GET.replace('HTTP/1.1', 'HTTP/1.0'))
    const service = await tree.accepted()
    await service.until(/\r\n\r\n/)
    service.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n')
    await caller.until(/\r\n\r\nfirst$/)
    service.socket[leave]()
    await caller.closed()
    assert.equal(caller.hasEnded, false, 'it was reset')
  }
})
