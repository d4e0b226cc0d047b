import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import pino from 'pino'
import { buildApp } from '../../src/api/app.js'
import { MAX_FORMS_BYTES } from '../../src/api/bodies/form-memory.js'
import { API_PREFIX } from '../../src/network/api-prefix.js'
import type { Run } from '../../src/remote-run/run-types.js'
import { eventually } from '../support/eventually.js'
import { head, statusesIn } from '../support/network/raw-client.js'
import { makeRelayParts } from '../support/parts/relay-parts.js'

const PROXY = '127.0.0.9'
const MIB = 1024 * 1024
/** The forms of 1 MiB that one source of strangers has room for, alone. */
const SHARE = (MAX_FORMS_BYTES / MIB) * (3 / 8)
/** A list of nodes without any. */
const FORM = formOf('nodes=&f=', MIB)

function formOf(fields: string, bytes: number): Buffer {
  return Buffer.alloc(bytes, 'x').fill(fields, 0, fields.length)
}

interface Sent {
  readonly socket: Socket
  readonly text: () => string
  readonly status: () => string
}

/** A relay that takes remote runs from strangers, told apart by what a proxy says; `runs` begin, and do not end. */
async function startRelay(t: TestContext) {
  const parts = await makeRelayParts({
    general: [`trusted_proxies = ["${PROXY}"]`],
    remote_run: ['allowed_networks = ["10.0.0.0/8"]']
  })
  t.after(() => parts.close())
  let runs = 0
  let end: () => void = () => undefined
  const over = new Promise<never>((_resolve, reject) => {
    end = () => reject(new Error('over'))
  })
  over.catch(() => undefined)
  const endless: Pick<Run, 'id' | 'order' | 'anyStarted' | 'cancel'> = {
    id: 'x',
    order: { nodes: ['n1'], asynchronous: false, keepOutput: true } as unknown as Run['order'],
    anyStarted: over,
    cancel: async () => undefined
  }
  const start = async () => {
    runs += 1
    return endless as Run
  }
  const remoteRuns = { ...parts.services.remoteRuns, start }
  const app = await buildApp({ services: { ...parts.services, remoteRuns }, logger: pino({ level: 'silent' }) })
  const port = Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port)
  const sockets: Socket[] = []
  const send = (source: string, length: number, body: Buffer): Sent => {
    const socket = connect({ host: '127.0.0.1', port, ...(source === '' ? {} : { localAddress: PROXY }) })
    socket.on('error', () => undefined)
    sockets.push(socket)
    let text = ''
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part
    })
    const headers = ['Host: localhost', 'Content-Type: application/x-www-form-urlencoded', `Content-Length: ${length}`]
    if (source !== '') headers.push(`X-Forwarded-For: ${source}`)
    socket.write(head(`POST ${API_PREFIX}/remote-run/nodes HTTP/1.1`, ...headers))
    socket.write(body)
    return { socket, text: () => text, status: () => statusesIn(text).join() }
  }
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    end()
    await app.close()
  })
  return {
    /** Sends all of a form but its last byte. */
    sendMost: (source: string) => send(source, FORM.length, FORM.subarray(0, -1)),
    send: (source: string, body: Buffer) => send(source, body.length, body),
    runs: () => runs
  }
}

const answered = (forms: readonly Sent[]) => forms.filter(form => form.status() !== '')

test('the memory for forms is shared by the source, and comes back when a request ends', async t => {
  const relay = await startRelay(t)
  const many = Array.from({ length: SHARE + 6 }, () => relay.sendMost('10.0.0.1'))
  await eventually('what goes beyond the share to be refused', () => answered(many).length === 6)
  for (const { text, status } of answered(many)) {
    assert.equal(status(), '503')
    assert.match(text(), /\r\nretry-after: 5\r\n/)
    assert.match(text(), /\nforms of 24 MiB are being read already, too many of them from 10.0.0.1; try again/)
  }

  await t.test('small forms of others, and those of local callers, are answered', async () => {
    for (const [source, body] of [
      ['10.0.0.2', Buffer.from('nodes=')],
      ['', FORM]
    ] as const) {
      const form = relay.send(source, body)
      await eventually('an answer', () => form.status() === '400')
    }
  })

  await t.test('a source with less gets the memory of the largest, whose oldest form ends', async () => {
    const others = Array.from({ length: SHARE / 2 + 2 }, () => relay.sendMost('10.0.0.3'))
    const evicted = () => many.filter(({ text }) => text().includes('when another sender needed its memory'))
    await eventually('an oldest form to end', () => evicted().length >= 2)
    assert.deepEqual(answered(others), [])
    for (const { socket } of others) socket.destroy()
  })

  await t.test('what is lost, and what is answered, holds nothing', async () => {
    for (const { socket } of many) socket.destroy()
    await eventually('that they are gone', async () => {
      const again = relay.send('10.0.0.1', FORM)
      await eventually('an answer', () => again.status() !== '')
      return again.status() === '400'
    })
    for (let count = 0; count < SHARE + 6; count++) {
      const form = relay.send('10.0.0.1', FORM)
      await eventually('an answer', () => form.status() === '400')
    }
  })

  await t.test('the form of a run that goes on is in no memory', async () => {
    const body = formOf('nodes=n1&f=', MIB)
    for (let count = 1; count <= SHARE + 6; count++) {
      relay.send('10.0.0.1', body)
      await eventually('the run', () => relay.runs() === count)
    }
  })

  await t.test('hundreds of short forms from one address are all taken', async () => {
    const short = formOf('nodes=&f=', 4_096)
    const forms = Array.from({ length: 400 }, () => relay.send('10.0.0.1', short))
    await eventually('all answers', () => forms.every(form => form.status() === '400'))
  })
})
