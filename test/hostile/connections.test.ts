import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import type { TreeRelay } from '../../demo/relay-tree.js'
import { MAX_IDLE_PIECES } from '../../src/api/connections/body-pieces.js'
import { eventually } from '../support/eventually.js'
import { orLong } from '../support/long.js'
import { ask } from '../support/network/http.js'
import { head, rawClient, statusesIn } from '../support/network/raw-client.js'
import { assertServes, residentBytes } from '../support/relays/relay-health.js'
import { startTree } from '../support/relays/relay-tree.js'

const ROOT_ALONE = [{ id: 'root', under: 'root', nodes: ['n1', 'n2'] }]
const CROWD = fileURLToPath(new URL('../support/network/connection-crowd.ts', import.meta.url))
const CROWDS = 4
const CONNECTIONS = orLong(2_000, 10_000)
/** Per connection, TLS not counted: what Node takes for a socket and its parser. */
const CONNECTION_BYTES = 40 * 1024

interface Crowd {
  readonly open: number
  readonly refused: number
}

async function crowd(t: TestContext, relay: TreeRelay, count: number, text: string): Promise<[ChildProcess, Crowd]> {
  const child = fork(CROWD, [new URL(relay.localUrl).port, String(count), text], { execArgv: ['--import', 'tsx'] })
  t.after(() => child.kill('SIGKILL'))
  const [report] = await once(child, 'message')
  return [child, report]
}

async function reportOf(child: ChildProcess): Promise<Crowd> {
  const answer = once(child, 'message')
  child.send('report')
  const [report] = await answer
  return report
}

test(`${CONNECTIONS} connections at once, which send half a head: others are served, and it ends with 408`, async t => {
  const settings = { limits: ['headers_timeout = "15s"'] }
  const tree = await startTree(t, { relays: ROOT_ALONE, settings })
  const relay = tree.relay('root')
  const pid = tree.processes.get('root')?.pid ?? 0
  await assertServes(tree, relay, 'n1', 'n2')
  const before = await residentBytes(pid)
  const half = 'GET /uuid HTTP/1.1\r\nHost: localhost\r\nX: '
  const crowds = await Promise.all(Array.from({ length: CROWDS }, () => crowd(t, relay, CONNECTIONS / CROWDS, half)))
  assert.equal(
    crowds.reduce((sum, [, { open }]) => sum + open, 0),
    CONNECTIONS
  )
  await assertServes(tree, relay, 'n1', 'n2')
  const grown = (await residentBytes(pid)) - before
  assert.ok(grown < CONNECTIONS * CONNECTION_BYTES, `${grown} bytes for ${CONNECTIONS} connections`)
  for (const [child] of crowds) {
    await eventually('all to be closed by the relay', async () => (await reportOf(child)).open === 0)
  }
  await assertServes(tree, relay, 'n1', 'n2')
})

test('beyond max_connections: closed at once, and those that are there are served', async t => {
  const tree = await startTree(t, { relays: ROOT_ALONE, settings: { general: ['max_connections = 50'] } })
  const relay = tree.relay('root')
  const first = await rawClient(t, relay)
  const request = head('GET /uuid HTTP/1.1', 'Host: localhost')
  first.send(request)
  await first.until(/root/)
  const [child] = await crowd(t, relay, 200, '')
  await eventually('all but 49 to be closed', async () => (await reportOf(child)).open === 49)
  first.send(request)
  assert.deepEqual(statusesIn(await first.until(/root[\s\S]*root/)), [200, 200])
  const another = await rawClient(t, relay)
  assert.equal(await another.closed, '')
  await t.test('TLS: unused connections of one address, which hold all places, make room for others', async t => {
    const { port } = new URL(relay.url)
    const open = (localAddress: string, own: { cert?: string; key?: string } = {}) => {
      const to = { host: '127.0.0.1', port: Number(port), localAddress, rejectUnauthorized: false, ...own }
      const socket = connectTls(to)
      socket.on('error', () => undefined)
      t.after(() => socket.destroy())
      return socket
    }
    const isServed = async (socket: TLSSocket) => {
      socket.write(request)
      const [answer] = (await once(socket, 'data')) as [Buffer]
      assert.deepEqual(statusesIn(answer.toString()), [200])
    }
    const { certificatePem: cert, privateKeyPem: key } = tree.member('n1').certificate
    const neighbour = open('127.0.0.30', { cert, key })
    await isServed(neighbour)
    const crowd = await Promise.all(
      Array.from({ length: 49 }, async (_, index) => {
        const socket = open('127.0.0.30')
        await once(socket, index % 2 === 0 ? 'connect' : 'secureConnect')
        return socket
      })
    )
    await isServed(open('127.0.0.31'))
    await isServed(neighbour)
    await eventually('one of the crowd to have gone', () => crowd.filter(socket => socket.closed).length === 1)
  })
  const gone = once(child, 'exit')
  child.disconnect()
  await gone
  await eventually('room again', async () =>
    ask(relay, '/uuid').then(
      answer => answer.status === 200,
      () => false
    )
  )
})

test('60 connections that cost much are closed, and 30 lines say so', async t => {
  const tree = await startTree(t, { relays: ROOT_ALONE })
  const relay = tree.relay('root')
  const { port } = new URL(relay.localUrl)
  const put = 'PUT /uuid HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n'
  const spend = async () => {
    const socket = connect({ host: '127.0.0.1', port: Number(port), localAddress: '127.0.0.40' })
    t.after(() => socket.destroy())
    socket.on('error', () => undefined)
    const closed = once(socket.resume(), 'close')
    socket.write(put + '1\r\nx\r\n'.repeat(2 * MAX_IDLE_PIECES))
    await closed
  }
  await Promise.all(Array.from({ length: 60 }, spend))
  const process = tree.processes.get('root')
  process?.signal('SIGHUP')
  await process?.logged(line => line.includes('"msg":"reloaded"')) // after all that was to be said before
  const lines = process?.log.filter(line => line.includes('connections closed: too many small pieces')) ?? []
  assert.equal(lines.length, 30)
})
