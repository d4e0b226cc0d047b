import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { test } from 'node:test'
import Fastify from 'fastify'
import { pino } from 'pino'
import { installErrorHandler } from '../../src/api/answers/error-handler.js'
import { createRequestLog } from '../../src/api/requests/request-log.js'
import type { Caller } from '../../src/network/caller.js'
import { RelayError } from '../../src/values/failures/relay-error.js'
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

test('who is refused again and again gets few lines in the log, and those who are served one each', async t => {
  const lines: { readonly msg: string; readonly status?: number }[] = []
  const logger = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const app = Fastify()
  t.after(() => app.close())
  const afterAnswer = createRequestLog(logger)
  installErrorHandler(app, { logger, afterAnswer: () => undefined, folders: [] })
  app.addHook('onResponse', async (request, reply) => afterAnswer(request, reply))
  app.post('/refused', async () => {
    throw new RelayError('INVALID_INPUT', 'never')
  })
  app.post('/done', async () => 'done')
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  for (let count = 0; count < 60; count += 1) {
    await (await fetch(`http://127.0.0.1:${port}/refused`, { method: 'POST' })).text()
    await (await fetch(`http://127.0.0.1:${port}/done`, { method: 'POST' })).text()
  }
  const linesOf = (msg: string, status: number) => lines.filter(line => line.msg === msg && line.status === status)
  await eventually('the last line', () => linesOf('answered', 200).length === 60)
  assert.equal(linesOf('request refused', 400).length, 30)
  assert.equal(linesOf('answered', 400).length, 30)
})

test('lines about callers are limited by the node, or the network of the address; faults are limited as well', async t => {
  const lines: { readonly msg: string; readonly reqId?: string }[] = []
  const logger = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const app = Fastify({ genReqId: ({ headers }) => String(headers.caller) })
  t.after(() => app.close())
  const afterAnswer = createRequestLog(logger)
  installErrorHandler(app, { logger, afterAnswer: () => undefined, folders: [] })
  app.addHook('onRequest', async request => {
    request.caller = JSON.parse(request.id) as Caller
  })
  app.addHook('onResponse', async (request, reply) => afterAnswer(request, reply))
  app.post('/refused', async () => {
    throw new RelayError('FORBIDDEN', 'never')
  })
  app.post('/fails', async () => {
    throw new Error('a fault')
  })
  const ask = (url: string, caller: Caller) =>
    app.inject({ method: 'POST', url, headers: { caller: JSON.stringify(caller) } })
  for (let count = 0; count < 40; count += 1) {
    await ask('/refused', { kind: 'node', id: 'node-h', address: `192.0.2.${count}` })
    await ask('/refused', { kind: 'network', address: `2001:db8::${count}` })
    await ask('/fails', { kind: 'node', id: 'node-h', address: `192.0.2.${count}` })
  }
  await ask('/refused', { kind: 'node', id: 'node-b', address: '192.0.2.1' })
  const linesOf = (msg: string, caller: string) =>
    lines.filter(line => line.msg === msg && line.reqId?.includes(caller))
  assert.equal(linesOf('request refused', 'node-h').length, 30)
  assert.equal(linesOf('request refused', 'db8').length, 30)
  assert.equal(linesOf('request failed', 'node-h').length, 30)
  assert.equal(linesOf('request refused', 'node-b').length, 1)
  assert.equal(linesOf('answered', 'db8').length, 30)
})
