import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import type { TreeRelay } from '../../demo/relay-tree.js'
import { MAX_IDLE_PIECES } from '../../src/api/bodies/body-pieces.js'
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
  const relays = [...ROOT_ALONE, { id: 'relay-a', under: 'root', nodes: ['n3'] }]
  const settings = { general: ['max_connections = 50'] }
  const tree = await startTree(t, { relays, absent: ['relay-a'], settings })
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
  const sockets = new Set<TLSSocket>()
  t.after(() => sockets.forEach(socket => void socket.destroy()))
  const open = (localAddress: string, member?: string) => {
    const { certificatePem: cert, privateKeyPem: key } = member === undefined ? {} : tree.member(member).certificate
    const to = { host: '127.0.0.1', port: Number(new URL(relay.url).port), localAddress, rejectUnauthorized: false }
    const socket = connectTls({ ...to, cert, key })
    socket.on('error', () => undefined)
    sockets.add(socket)
    return socket
  }
  const isServed = async (socket: TLSSocket) => {
    socket.write(request)
    const closed = once(socket, 'close').then(() => ['closed'])
    const [answer] = (await Promise.race([once(socket, 'data'), closed])) as [Buffer | string]
    assert.deepEqual(statusesIn(answer.toString()), [200])
  }
  await t.test('TLS: unused connections of one address, which hold all slots, make room for others', async () => {
    const neighbour = open('127.0.0.30', 'n1')
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
  for (const [member, number] of [
    ['n2', 3],
    ['relay-a', 12]
  ] as const) {
    await t.test(`TLS: ${member} keeps ${number} connections when others come`, async () => {
      for (const socket of sockets) socket.destroy()
      sockets.clear()
      const held: TLSSocket[] = []
      const closed = () => held.filter(socket => socket.closed).length
      while (held.length - closed() < 50) {
        const socket = open('127.0.0.32', member)
        held.push(socket)
        await isServed(socket)
      }
      const before = closed()
      await isServed(open('127.0.0.33'))
      await isServed(open('127.0.0.34', 'n1'))
      await eventually('two to have made room', () => closed() === before + 2)
      for (let address = 40; address < 100; address += 1) await isServed(open(`127.0.0.${address}`))
      await eventually('none beyond its number', () => held.length - closed() === number)
      for (const socket of held.slice(-number)) await isServed(socket)
    })
  }
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
