import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { TreeRelay } from '../../demo/relay-tree.js'
import { eventually } from '../support/eventually.js'
import { ask } from '../support/http.js'
import { orLong } from '../support/long.js'
import { head, rawClient, statusesIn } from '../support/raw-client.js'
import { assertServes, residentBytes } from '../support/relay-health.js'
import { startTree } from '../support/relay-tree.js'

const ROOT_ALONE = [{ id: 'root', under: 'root', nodes: ['n1', 'n2'] }]
const CROWD = fileURLToPath(new URL('../support/connection-crowd.ts', import.meta.url))
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
