import assert from 'node:assert/strict'
import { randomFillSync } from 'node:crypto'
import { eventually } from '../../support/eventually.js'
import { startRawService, testOverLevels } from '../../support/parts/raw-services.js'

const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString('latin1')

/** An upgrade: its request as the caller sends it, and lines that the service gets and gives. */
const UPGRADES = [
  {
    what: 'a WebSocket with its protocol and extensions',
    request: [
      'GET /v1/relay/git/chat HTTP/1.1',
      'Connection: keep-alive, Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io',
      'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x'
    ],
    got: [
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io',
      'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x',
      'Connection: Upgrade',
      'Upgrade: websocket'
    ],
    answer: [
      'Upgrade: websocket',
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      'Sec-WebSocket-Protocol: v5.channel.k8s.io',
      'Sec-WebSocket-Extensions: permessage-deflate'
    ]
  },
  {
    what: 'SPDY/3.1, by POST and with a length of 0, as kubectl asks',
    request: [
      'POST /v1/relay/git/exec?command=sh HTTP/1.1',
      'Connection: Upgrade',
      'Upgrade: SPDY/3.1',
      'X-Stream-Protocol-Version: v5.channel.k8s.io',
      'X-Stream-Protocol-Version: v4.channel.k8s.io',
      'Content-Length: 0'
    ],
    got: [
      'X-Stream-Protocol-Version: v5.channel.k8s.io',
      'X-Stream-Protocol-Version: v4.channel.k8s.io',
      'Content-Length: 0',
      'Connection: Upgrade',
      'Upgrade: SPDY/3.1'
    ],
    answer: ['Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v5.channel.k8s.io']
  },
  {
    what: 'a protocol of its own, among several',
    request: ['BREW /v1/relay/git/pot HTTP/1.1', 'Connection: upgrade', 'Upgrade: tea/2, coffee'],
    got: ['Connection: Upgrade', 'Upgrade: tea/2, coffee'],
    answer: ['Upgrade: coffee']
  }
] as const

for (const { what, request, got, answer } of UPGRADES) {
  testOverLevels(`${what}: 101, and then every byte both ways`, async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const caller = tree.call().send([...request, 'Host: e', '', ''].join('\r\n'))
    const service = await tree.accepted()
    const head = (await service.until(/\r\n\r\n/)).split('\r\n')
    for (const line of got) assert.ok(head.includes(line), `${line} in ${head.join('\n')}`)
    service.text = ''
    service.send(['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', ...answer, '', EVERY_BYTE].join('\r\n'))
    await eventually('every byte at the caller', () => caller.text.endsWith(`\r\n\r\n${EVERY_BYTE}`))
    const answered = caller.text.split('\r\n')
    for (const line of [...answer, 'Connection: Upgrade'])
      assert.ok(answered.includes(line), `${line} in ${caller.text}`)
    caller.text = ''
    for (const byte of EVERY_BYTE) caller.send(byte) // each on its own, as a terminal does
    await eventually('every byte at the service', () => service.text === EVERY_BYTE)
    const much = randomFillSync(Buffer.alloc(1_000_000)).toString('latin1')
    caller.send(much)
    service.send(much)
    await eventually('much at the service', () => service.text === EVERY_BYTE + much)
    await eventually('much at the caller', () => caller.text === much)
  })
}

for (const end of ['caller', 'service'] as const) {
  testOverLevels(
    `the ${end} of an upgrade may end its direction first, and gets what the other one still sends`,
    async (t, levels) => {
      const tree = await startRawService(t, { levels })
      const caller = tree
        .call()
        .send('GET /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
      const service = await tree.accepted()
      await service.until(/\r\n\r\n/)
      service.send('HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
      await caller.until(/\r\n\r\n/)
      const [first, second] = end === 'caller' ? [caller, service] : [service, caller]
      first.send('the last words').socket.end()
      await second.until(/the last words$/)
      await eventually('the end of one direction', () => second.hasEnded)
      second.send('and an answer')
      await first.until(/and an answer$/)
      second.socket.end()
      await Promise.all([first.closed(), second.closed()])
    }
  )

  testOverLevels(`the ${end} of an upgrade breaks off, and the other one is told`, async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const caller = tree
      .call()
      .send('GET /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
    const service = await tree.accepted()
    await service.until(/\r\n\r\n/)
    service.send('HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello')
    await caller.until(/hello$/)
    const [first, second] = end === 'caller' ? [caller, service] : [service, caller]
    first.socket.resetAndDestroy()
    await eventually('the end of the other', () => second.isClosed)
    assert.equal(second.hasEnded, false, 'it is no end in order')
  })
}

for (const [what, status, length] of [
  ['400', '400 Bad Request', 2],
  ['403 with a body until the end', '403 Forbidden', undefined],
  ['426 that names what it wants', '426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0', 2],
  ['200, as a service that knows no upgrades', '200 OK', 2]
] as const) {
  testOverLevels(`a refused upgrade is an ordinary answer: ${what}`, async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const caller = tree
      .call()
      .send('GET /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    const service = await tree.accepted()
    await service.until(/\r\n\r\n/)
    const framing = length === undefined ? '' : `Content-Length: ${length}\r\n`
    service.send(`HTTP/1.1 ${status}\r\n${framing}\r\nno`)
    if (length === undefined) service.socket.end()
    await caller.until(length === undefined ? /\r\n2\r\nno\r\n0\r\n\r\n$/ : /no$/)
    assert.match(caller.text, new RegExp(`^HTTP/1\\.1 ${status.slice(0, 3)} `))
    caller.text = ''
    caller.send('GET /v1/relay/git/next HTTP/1.1\r\nHost: e\r\n\r\n')
    const next = length === undefined ? await tree.accepted() : service
    await next.until(/GET \/next [\s\S]*\r\n\r\n$/)
    next.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    await caller.until(/ok$/)
  })
}

testOverLevels('an upgrade that is not named by Connection, or of HTTP/1.0, is none', async (t, levels) => {
  const tree = await startRawService(t, { levels })
  for (const request of [
    'GET /v1/relay/git/ HTTP/1.1\r\nHost: e\r\nUpgrade: websocket\r\n\r\n',
    'GET /v1/relay/git/ HTTP/1.0\r\nHost: e\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
  ]) {
    const caller = tree.call().send(request)
    const service = await tree.accepted()
    assert.doesNotMatch(await service.until(/\r\n\r\n/), /upgrade/i)
    service.send('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')
    await caller.until(/ok$/)
  }
})
