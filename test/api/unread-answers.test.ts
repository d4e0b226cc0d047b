import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import pino from 'pino'
import { MAX_UNREAD_ANSWERS, UnreadAnswers } from '../../src/api/answers/ends/unread-answers.js'
import { buildApp } from '../../src/api/app.js'
import { API_PREFIX } from '../../src/network/api-prefix.js'
import type { Caller } from '../../src/network/caller.js'
import { eventually } from '../support/eventually.js'
import { leaveUnread, listenAtSocket, MORE_THAN_A_SOCKET_HOLDS } from '../support/network/unread-callers.js'
import { makeRelayParts } from '../support/parts/relay-parts.js'
import { listen } from '../support/relays/small-relay.js'

/** Callers beyond the bound. */
const REFUSED = 4
const LIST = `${API_PREFIX}/shared-files/n1`

test('callers have so many lists unread and no more, and room again once they have read them', async t => {
  const parts = await makeRelayParts()
  t.after(() => parts.close())
  const listed = { source: 'n2', sizeBytes: 1, algorithm: 'sha256', hash: '0', expiresAtMs: 0, storedAtMs: 0 } as const
  const list = async () => [{ ...listed, target: 'n1', fileId: 'a'.repeat(MORE_THAN_A_SOCKET_HOLDS) }]
  const sharedFiles = { ...parts.services.sharedFiles, list }
  const app = await buildApp({ services: { ...parts.services, sharedFiles }, logger: pino({ level: 'silent' }) })
  const socketPath = await listenAtSocket(t, app, parts.services.localSockets)
  t.after(() => app.close())
  const { statuses, readAll } = await leaveUnread(t, socketPath, LIST, MAX_UNREAD_ANSWERS + REFUSED)
  assert.equal(statuses.filter(status => status === 200).length, MAX_UNREAD_ANSWERS)
  assert.equal(statuses.filter(status => status === 503).length, REFUSED)
  await readAll()
  const again = await leaveUnread(t, socketPath, LIST, 1)
  assert.deepEqual(again.statuses, [200])
  await again.readAll()
})

test('a node alone gets a share, and its oldest unread answer ends when others need the place', async t => {
  const unread = new UnreadAnswers(8)
  const server = createServer((raw, response) => {
    const caller: Caller = { kind: 'node', id: raw.url ?? '', address: '127.0.0.1' }
    try {
      unread.hold({ caller, raw }, { raw: response })
      response.write('held')
    } catch {
      response.writeHead(503).end()
    }
  })
  const port = await listen(t, server)
  const ask = async (id: string) => {
    const client = connect(port, '127.0.0.1')
    client.on('error', () => undefined)
    t.after(() => client.destroy())
    client.write(`GET ${id} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    const [head] = await Promise.race([once(client, 'data'), once(client, 'close')])
    return { client, isHeld: String(head).startsWith('HTTP/1.1 200') }
  }
  const ofA = [await ask('/a'), await ask('/a'), await ask('/a'), await ask('/a')]
  assert.deepEqual(
    ofA.map(({ isHeld }) => isHeld),
    [true, true, true, false]
  )
  const [oldest] = ofA
  assert.ok(oldest)
  const closed = once(oldest.client, 'close')
  for (const id of ['/b', '/c', '/d', '/e', '/f', '/g']) assert.ok((await ask(id)).isHeld)
  await closed
  for (const { client } of ofA) client.destroy()
  await eventually('room once they have gone', async () => (await ask('/a')).isHeld)
})
