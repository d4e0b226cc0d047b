import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import pino from 'pino'
import { MAX_UNREAD_ANSWERS } from '../../src/api/answers/unread-answers.js'
import { buildApp } from '../../src/api/app.js'
import { createMetrics, type MetricSources } from '../../src/api/metrics/metrics.js'
import { API_PREFIX } from '../../src/values/network/api-prefix.js'
import { eventually } from '../support/eventually.js'
import { head, statusesIn } from '../support/network/raw-client.js'
import { makeRelayParts } from '../support/parts/relay-parts.js'

const CONNECTIONS = 3
/** Requests of a connection. */
const PIPELINED = 60

test('callers at the same time share one text of the metrics, and the next one gets a new one', async () => {
  const metrics = createMetrics()
  let written = 0
  const status = async () => {
    written += 1
    throw new Error('the disk is gone')
  }
  metrics.observe({ sharedFiles: { status } } as unknown as MetricSources)
  const answers = await Promise.allSettled(Array.from({ length: 50 }, () => metrics.text()))
  assert.deepEqual(new Set(answers.map(answer => answer.status)), new Set(['rejected']))
  assert.equal(written, 1)
  await assert.rejects(metrics.text(), /the disk is gone/)
  assert.equal(written, 2)
})

test('so many callers may leave metrics unread, and no more', async t => {
  const parts = await makeRelayParts()
  t.after(() => parts.close())
  let go: () => void = () => undefined
  const gate = new Promise<void>(resolve => {
    go = resolve
  })
  t.after(() => go()) // the relay waits for its callers as it closes
  let asked = 0
  const text = async () => {
    asked += 1
    return 'metrics'
  }
  const list = async () => {
    await gate
    return []
  }
  const { sharedFiles, metrics } = parts.services
  const services = { ...parts.services, sharedFiles: { ...sharedFiles, list }, metrics: { ...metrics, text } }
  const app = await buildApp({ services, logger: pino({ level: 'silent' }) })
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  t.after(() => app.close())
  const all: (() => number[])[][] = []
  for (const path of ['/metrics', '/v1/system/metrics']) {
    asked = 0
    // all that a connection asks for waits behind a list, which is gated
    const request = (url: string) => head(`GET ${url} HTTP/1.1`, 'Host: localhost')
    const answers = Array.from({ length: CONNECTIONS }, () => {
      const socket = connect(Number(port), '127.0.0.1')
      t.after(() => socket.destroy())
      let answer = ''
      socket.setEncoding('latin1').on('data', (part: string) => {
        answer += part
      })
      socket.write(request(`${API_PREFIX}/shared-files/n1`) + request(path).repeat(PIPELINED))
      return () => statusesIn(answer)
    })
    await eventually('all requests', () => asked === CONNECTIONS * PIPELINED)
    all.push(answers)
  }
  go()
  for (const answers of all) {
    const statuses = () => answers.flatMap(answer => answer())
    await eventually('all answers', () => statuses().length === CONNECTIONS * (PIPELINED + 1))
    assert.equal(statuses().filter(status => status === 200).length, MAX_UNREAD_ANSWERS + CONNECTIONS)
    assert.equal(statuses().filter(status => status === 503).length, CONNECTIONS * PIPELINED - MAX_UNREAD_ANSWERS)
  }
})
