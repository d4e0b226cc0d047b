import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import fastify from 'fastify'
import pino from 'pino'
import { installAfterAnswer } from '../../src/api/answers/ends/after-answer.js'
import { installErrorHandler } from '../../src/api/answers/error-handler.js'
import { commonOptions } from '../../src/api/app-options.js'
import { installFormRules } from '../../src/api/bodies/form-rules.js'
import { createPlainServer } from '../../src/api/http-server-options.js'
import { decorateRequests } from '../../src/api/requests/request-start.js'
import { revocationNoticeRoutes } from '../../src/api/routes/membership/revocations.js'
import type { RevocationBook } from '../../src/membership/revocations/revocation-book.js'
import { API_PREFIX } from '../../src/network/api-prefix.js'
import { eventually } from '../support/eventually.js'
import { head, statusesIn } from '../support/network/raw-client.js'

test('a relay sends one list of revoked certificates at a time: its next one ends the one on its way', async t => {
  const app = fastify({
    ...commonOptions(1024 * 1024),
    serverFactory: listener => createPlainServer({ headersTimeoutMs: 30_000 }, listener)
  })
  const logger = pino({ level: 'silent' })
  installErrorHandler(app, { logger, afterAnswer: installAfterAnswer(app, []), folders: [] })
  decorateRequests(app)
  app.addHook('onRequest', (request, _reply, done) => {
    request.caller = { kind: 'relay', id: String(request.headers.from), address: '127.0.0.1' }
    done()
  })
  installFormRules(app, 30_000, 1024 * 1024)
  const taken: string[] = []
  const take = async (list: string) => {
    taken.push(list)
    return true
  }
  await app.register(revocationNoticeRoutes, {
    prefix: API_PREFIX,
    services: { revocations: { take } as unknown as RevocationBook }
  })
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  const sockets: Socket[] = []
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    await app.close()
  })

  const send = (relay: string, form: string, length = form.length) => {
    const socket = connect(Number(port), '127.0.0.1')
    socket.on('error', () => undefined)
    sockets.push(socket)
    let text = ''
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part
    })
    const type = 'Content-Type: application/x-www-form-urlencoded'
    const headers = ['Host: localhost', `From: ${relay}`, type, 'Expect: 100-continue', `Content-Length: ${length}`]
    socket.write(head(`POST ${API_PREFIX}/v1/revocations HTTP/1.1`, ...headers) + form)
    return {
      socket,
      statuses: () => statusesIn(text).join(),
      text: () => text
    }
  }

  const first = send('r1', 'list=first', 20)
  const other = send('r2', 'list=other', 11)
  await eventually('both to be on their way', () => [first, other].every(({ statuses }) => statuses() === '100'))
  const second = send('r1', 'list=second')
  await eventually('the second one', () => second.statuses() === '100,204')
  await eventually('the end of the first one', () => first.statuses() === '100,503')
  assert.match(first.text(), /\r\nretry-after: 5\r\n/)
  assert.match(first.text(), /\nanother one came before this one was complete; send one at a time\n$/)
  other.socket.write('s')
  await eventually('the one of another relay', () => other.statuses() === '100,204')
  const third = send('r1', 'list=third')
  await eventually('one more', () => third.statuses() === '100,204')
  assert.deepEqual(taken, ['second', 'others', 'third'])
})
