import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { eventually } from '../../support/eventually.js'
import { startRawService, testOverLevels } from '../../support/parts/raw-services.js'

const GET = 'GET /v1/relay/git/x HTTP/1.1\r\nHost: entry\r\n\r\n'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** The head in which a message begins. */
function headOf(text: string): string {
  return text.slice(0, text.indexOf('\r\n\r\n') + 4)
}

testOverLevels(
  'a caller that waits for a go-ahead gets that of the service, one that does not wait is served as well',
  async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const head = 'PUT /v1/relay/git/x HTTP/1.1\r\nHost: e\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n'
    const patient = tree.call().send(head)
    const first = await tree.accepted()
    assert.match(await first.until(/\r\n\r\n/), /\r\nExpect: 100-continue\r\n/)
    first.send('HTTP/1.1 100 Continue\r\nX-A: b\r\n\r\n')
    assert.equal(await patient.until(/\r\n\r\n/), 'HTTP/1.1 100 Continue\r\n\r\n')
    patient.send('abc')
    await first.until(/abc$/)
    first.send(OK)
    await patient.until(/ok$/)
    const hasty = tree.call().send(`${head}abc`)
    await first.until(/abc[\s\S]*abc$/)
    first.send(OK)
    assert.match(await hasty.until(/ok$/), /^HTTP\/1\.1 200 OK/)
  }
)

testOverLevels(
  'a service that refuses before the go-ahead gets no body, and the caller its answer',
  async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const caller = tree
      .call()
      .send('PUT /v1/relay/git/x HTTP/1.1\r\nHost: e\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n')
    const service = await tree.accepted()
    await service.until(/\r\n\r\n/)
    service.send('HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno')
    assert.match(
      await caller.until(/no$/),
      /^HTTP\/1\.1 413 Too Much\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno$/
    )
    await service.closed()
    assert.equal(headOf(service.text), service.text)
  }
)

testOverLevels('an early answer comes while the body still goes', async (t, levels) => {
  const tree = await startRawService(t, { levels })
  const caller = tree
    .call()
    .send('POST /v1/relay/git/x HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n')
  const service = await tree.accepted()
  await service.until(/\r\n\r\n1\r\na\r\n$/)
  service.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n')
  await caller.until(/\r\n\r\n1\r\nA\r\n$/)
  caller.send('1\r\nb\r\n')
  await service.until(/1\r\nb\r\n$/)
  service.send('1\r\nB\r\n')
  await caller.until(/1\r\nB\r\n$/)
  caller.send('0\r\n\r\n')
  await service.until(/0\r\n\r\n$/)
  service.send('0\r\n\r\n')
  await caller.until(/0\r\n\r\n$/)
})

testOverLevels('an upgrade becomes raw bytes both ways, each direction ending on its own', async (t, levels) => {
  const tree = await startRawService(t, { levels })
  const upgrade =
    'GET /v1/relay/git/ws HTTP/1.1\r\nHost: e\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n'
  const caller = tree.call().send(`${upgrade}early`)
  const service = await tree.accepted()
  assert.match(
    await service.until(/\r\n\r\n/),
    /\r\nSec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: permessage-deflate\r\n[\s\S]*Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n$/
  )
  service.send(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: b\r\n\r\nhello'
  )
  assert.match(
    await caller.until(/hello$/),
    /^HTTP\/1\.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: b\r\nConnection: Upgrade\r\n\r\nhello$/
  )
  await service.until(/early$/)
  caller.send('0\r\n\r\nGET / HTTP/1.1\r\n\r\n').socket.end()
  await service.until(/0\r\n\r\nGET \/ HTTP\/1\.1\r\n\r\n$/)
  await service.until(/$/)
  service.send('after the end')
  await caller.until(/after the end$/)
  service.socket.end()
  await Promise.all([caller.closed(), service.closed()])
})

testOverLevels(
  'a caller may shut down its side before its upgrade is answered, and the service sees that end',
  async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const caller = tree
      .call()
      .send('GET /v1/relay/git/ws HTTP/1.1\r\nHost: e\r\nConnection: upgrade, close\r\nUpgrade: x\r\n\r\n')
    caller.socket.end()
    const service = await tree.accepted()
    await service.until(/\r\n\r\n/)
    await eventually('the end of the caller at the entry', () => caller.socket.writableFinished)
    service.send('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello')
    await service.closed()
    assert.match(await caller.closed(), /hello$/)
  }
)

testOverLevels('the system asks silent callers and services whether they are still there', async (t, levels) => {
  const tree = await startRawService(t, { levels })
  tree.call().send(GET)
  const service = await tree.accepted()
  await service.until(/\r\n\r\n/)
  for (const port of [tree.port, tree.servicePort]) {
    await eventually(`a keep-alive timer of port ${port}`, async () => {
      const connections = (await readFile('/proc/self/net/tcp', 'utf8')).split('\n').slice(1)
      return connections.some(line => hasKeepAlive(line, port, port === tree.port))
    })
  }
})

/** Whether a line of `/proc/net/tcp` is a connection that stands, to or from a port, with a keep-alive timer. */
function hasKeepAlive(line: string, port: number, isLocal: boolean): boolean {
  const [, local = '', remote = '', state, , timer = ''] = line.trim().split(/\s+/)
  const named = Number.parseInt((isLocal ? local : remote).split(':')[1] ?? '', 16)
  return named === port && state === '01' && timer.startsWith('02:')
}

testOverLevels('a refused upgrade is an ordinary answer, and the connection goes on', async (t, levels) => {
  const tree = await startRawService(t, { levels })
  const caller = tree
    .call()
    .send('GET /v1/relay/git/ws HTTP/1.1\r\nHost: e\r\nConnection: Upgrade\r\nUpgrade: h2c, foo\r\n\r\n')
  const service = await tree.accepted()
  await service.until(/\r\nUpgrade: h2c, foo\r\n\r\n$/)
  service.send(OK)
  await caller.until(/ok$/)
  caller.text = ''
  caller.send(GET)
  await service.until(/GET \/x /)
  service.send(OK)
  await caller.until(/ok$/)
})

testOverLevels('pipelined requests are answered one after the other', async (t, levels) => {
  const tree = await startRawService(t, { levels })
  const caller = tree.call().send(GET.replace('/x', '/1') + GET.replace('/x', '/2') + GET.replace('/x', '/3'))
  const service = await tree.accepted()
  for (const number of [1, 2, 3]) {
    await service.until(new RegExp(`GET /${number} [\\s\\S]*\\r\\n\\r\\n$`))
    service.send(`HTTP/1.1 200 OK\r
Content-Length: 2\r
\r
#${number}`)
  }
  assert.deepEqual((await caller.until(/#3$/)).match(/#\d/g), ['#1', '#2', '#3'])
})

testOverLevels('a caller that leaves ends the request at the service', async (t, levels) => {
  const tree = await startRawService(t, { levels })
  for (const leave of ['end', 'destroy', 'resetAndDestroy'] as const) {
    const caller = tree.call().send(GET)
    const service = await tree.accepted()
    await service.until(/\r\n\r\n/)
    service.send('HTTP/1.1 200 OK\r\n\r\nfirst')
    await caller.until(/first/)
    caller.socket[leave]()
    await service.closed()
  }
})

testOverLevels('a caller that asks for one answer alone may shut down its side', async (t, levels) => {
  const tree = await startRawService(t, { levels })
  const caller = tree.call().send(GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
  caller.socket.end()
  const service = await tree.accepted()
  await service.until(/\r\n\r\n/)
  service.send(OK)
  assert.match(await caller.closed(), /\r\nConnection: close\r\n\r\nok$/)
})

testOverLevels(
  'a request that met the end of a used connection goes again where that does no harm, and only then',
  async (t, levels) => {
    const tree = await startRawService(t, { levels })
    const first = tree.call().send(GET)
    let service = await tree.accepted()
    for (const [request, isRepeated] of [
      [GET, true],
      [GET.replace('GET', 'DELETE'), true],
      [GET.replace('GET', 'POST'), false],
      [GET.replace('GET', 'PUT').replace('\r\n\r\n', '\r\nContent-Length: 1\r\n\r\na'), false]
    ] as const) {
      await service.until(/\r\n\r\n/)
      service.send(OK)
      await first.until(/ok$/)
      first.text = ''
      service.text = ''
      first.send(request)
      await service.until(/\r\n\r\n/)
      service.socket.resetAndDestroy()
      if (isRepeated) {
        service = await tree.accepted()
        continue
      }
      assert.match(await first.until(/\r\n\r\n.+\n$/), /^HTTP\/1\.1 502 /)
      first.text = ''
      first.send(GET)
      service = await tree.accepted()
    }
  }
)
