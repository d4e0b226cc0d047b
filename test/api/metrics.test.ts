import assert from 'node:assert/strict'
import { test } from 'node:test'
import pino from 'pino'
import { MAX_UNREAD_ANSWERS } from '../../src/api/answers/ends/unread-answers.js'
import { buildApp } from '../../src/api/app.js'
import { createMetrics, type MetricSources } from '../../src/api/metrics/metrics.js'
import { leaveUnread, listenAtSocket, MORE_THAN_A_SOCKET_HOLDS } from '../support/network/unread-callers.js'
import { makeRelayParts } from '../support/parts/relay-parts.js'

/** Callers beyond the bound. */
const REFUSED = 4

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
  const metrics = { ...parts.services.metrics, text: async () => 'a'.repeat(MORE_THAN_A_SOCKET_HOLDS) }
  const services = { ...parts.services, metrics }
  const app = await buildApp({ services, logger: pino({ level: 'silent' }) })
  const socketPath = await listenAtSocket(t, app, parts.services.localSockets)
  t.after(() => app.close())
  for (const path of ['/metrics', '/v1/system/metrics']) {
    const { statuses, readAll } = await leaveUnread(t, socketPath, path, MAX_UNREAD_ANSWERS + REFUSED)
    assert.equal(statuses.filter(status => status === 200).length, MAX_UNREAD_ANSWERS, path)
    assert.equal(statuses.filter(status => status === 503).length, REFUSED, path)
    await readAll()
  }
})
