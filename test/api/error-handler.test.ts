import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { test } from 'node:test'
import Fastify from 'fastify'
import { pino } from 'pino'
import { installErrorHandler } from '../../src/api/answers/error-handler.js'
import { eventually } from '../support/eventually.js'

const LEVELS = { info: 30, error: 50 } as const

test('a caller that leaves is no error in the log, while a fault that one waits for is', async t => {
  const lines: { readonly level: number; readonly msg: string }[] = []
  const logger = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const app = Fastify()
  t.after(() => app.close())
  installErrorHandler(app, { logger, afterAnswer: () => undefined, folders: [] })
  const asked: string[] = []
  app.get('/waits', async request => {
    asked.push(request.url)
    await once(request.raw.socket, 'close')
    throw new Error('nobody is there any more')
  })
  app.get('/fails', async () => {
    throw new Error('a fault')
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo

  const caller = connect(port, '127.0.0.1')
  caller.write('GET /waits HTTP/1.1\r\nHost: x\r\n\r\n')
  await eventually('the request', () => asked.length > 0)
  caller.destroy()
  await eventually('a line', () => lines.length > 0)
  assert.deepEqual(
    lines.map(({ level, msg }) => [level, msg]),
    [[LEVELS.info, 'caller closed the connection']]
  )
  lines.length = 0
  assert.equal((await fetch(`http://127.0.0.1:${port}/fails`)).status, 500)
  assert.deepEqual(
    lines.map(({ level, msg }) => [level, msg]),
    [[LEVELS.error, 'request failed']]
  )
})
