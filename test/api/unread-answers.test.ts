import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import pino from 'pino'
import { MAX_UNREAD_ANSWERS, UnreadAnswers } from '../../src/api/answers/unread-answers.js'
import { buildApp } from '../../src/api/app.js'
import type { Caller } from '../../src/values/caller.js'
import { API_PREFIX } from '../../src/values/network/api-prefix.js'
import { eventually } from '../support/eventually.js'
import { makeRelayParts } from '../support/parts/relay-parts.js'
import { listen } from '../support/relays/small-relay.js'

/** Requests of one connection. */
const PIPELINED = 60
const CONNECTIONS = 3
const LIST = `GET ${API_PREFIX}/shared-files/n1 HTTP/1.1\r\nHost: localhost\r\n\r\n`

/** A relay whose first list for each connection waits until `go` is called. */
async function startLists(t: TestContext) {
  const parts = await makeRelayParts()
  t.after(() => parts.close())
  let asked = 0
  let go: () => void = () => undefined
  const gate = new Promise<void>(resolve => {
    go = resolve
  })
  t.after(() => go()) // the relay waits for its callers as it closes
  const list = async (target: string) => {
    asked += 1
    if (target === 'first') await gate
    return []
  }
  const sharedFiles = { ...parts.services.sharedFiles, list }
  const app = await buildApp({ services: { ...parts.services, sharedFiles }, logger: pino({ level: 'silent' }) })
  const url = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  t.after(() => app.close())
  const open = async () => {
    const before = asked
    const clients = Array.from({ length: CONNECTIONS }, () => {
      const client = connect(Number(url.port), '127.0.0.1')
      client.on('error', () => undefined)
      t.after(() => client.destroy())
      client.write(LIST.replace('n1', 'first') + LIST.repeat(PIPELINED - 1))
      return client
    })
    await eventually('all requests', () => asked - before === CONNECTIONS * PIPELINED)
    return clients
  }
  const status = async () => (await fetch(`${url.origin}${API_PREFIX}/shared-files/n1`)).status
  return { open, go, status }
}

/** The number of answers for each status, once all have come. */
async function answersOf(client: Socket): Promise<string[]> {
  let text = ''
  client.setEncoding('latin1').on('data', (part: string) => {
    text += part
  })
  return await eventually('all answers', () => {
    const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status = '']) => status)
    return statuses.length === PIPELINED && statuses
  })
}

test('callers have so many lists unread and no more, and room again once they have read them', async t => {
  const { open, go, status } = await startLists(t)
  const clients = await open()
  assert.equal(await status(), 503)
  go()
  const statuses = (await Promise.all(clients.map(answersOf))).flat()
  const taken = statuses.filter(one => one === '200').length
  assert.ok(taken >= MAX_UNREAD_ANSWERS && taken <= MAX_UNREAD_ANSWERS + CONNECTIONS, `${taken} taken`)
  assert.equal(await status(), 200)
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
