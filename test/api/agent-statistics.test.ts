import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fastify from 'fastify'
import { agentStatisticsRoutes } from '../../src/api/routes/agent-statistics.js'
import { ServiceDirectory } from '../../src/services/keys/client-directory.js'
import type { Replica } from '../../src/services/keys/replica.js'
import { ServiceKeys } from '../../src/services/keys/service-keys.js'

async function statistics(t: TestContext, replicas: readonly Partial<Replica>[]) {
  const keys = new ServiceKeys()
  for (const facts of replicas) {
    const replica = { key: 'a', id: 'node-1', path: [], remoteAddress: '-', connectedAtMs: 1_000, way: undefined }
    assert.ok(keys.add({ ...replica, ...facts }))
  }
  const below = { ask: () => Promise.reject(new Error('not asked')) }
  const clients = new ServiceDirectory({ keys, links: { removeClients: () => [] }, below })
  const app = fastify()
  t.after(() => app.close())
  await app.register(agentStatisticsRoutes, { services: { clients } })
  const { serverTime, connectedAgents } = (await app.inject('/api/v1/getAgentStatistics')).json()
  assert.ok(Math.abs(serverTime - Date.now()) < 60_000)
  return connectedAgents
}

test('agents are listed with their services, each place in the tree once', async t => {
  const agents = await statistics(t, [
    { key: 'builds', type: 'jenkins', annotations: { description: 'east' }, path: ['low'], connectedAtMs: 2_000 },
    { key: 'wiki', path: ['low'], connectedAtMs: 1_500, staleSinceMs: 3_000 },
    { key: 'builds', id: 'client-1' }
  ])
  assert.deepEqual(agents, [
    {
      name: 'client-1',
      agentId: 'client-1',
      session: 'client-1',
      sessionId: 'client-1',
      connectionType: 'direct',
      endpoints: [{ name: 'builds', configured: true }],
      connectedAt: 1_000
    },
    {
      name: 'node-1',
      agentId: 'node-1',
      session: 'low/node-1',
      sessionId: 'low/node-1',
      connectionType: 'relayed',
      endpoints: [
        { name: 'builds', type: 'jenkins', configured: true, annotations: { description: 'east' } },
        { name: 'wiki', configured: false }
      ],
      connectedAt: 1_500
    }
  ])
})

test('without agents the list is empty, and with more than a page of them it is whole', async t => {
  assert.deepEqual(await statistics(t, []), [])
  const many = Array.from({ length: 1_001 }, (_, index) => ({ key: `k${index}`, id: `node-${index}` }))
  assert.equal((await statistics(t, many)).length, 1_001)
})
