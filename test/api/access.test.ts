import assert from 'node:assert/strict'
import { test } from 'node:test'
import pino from 'pino'
import { buildApp } from '../../src/api/app.js'
import { ACCESS, type Access, checkAccess, scopeOf } from '../../src/api/callers/access.js'
import { API_PREFIX } from '../../src/network/api-prefix.js'
import type { CallerKind } from '../../src/network/caller.js'
import { RelayError } from '../../src/values/failures/relay-error.js'
import { makeRelayParts } from '../support/parts/relay-parts.js'

/** Who may use what: every route of the relay API, and the two groups outside the prefixes. */
const RELAY_API: Readonly<Record<string, Access>> = {
  'POST /remote-run/all': 'remote-run',
  'POST /remote-run/nodes': 'remote-run',
  'POST /remote-run/nodes/:nodeId': 'remote-run',
  'GET /trace/:nodeId': 'trace',
  'GET /runs': 'runs',
  'GET /runs/:runId': 'runs',
  'GET /runs/:runId/events': 'runs',
  'POST /runs/:runId/cancel': 'runs',
  'HEAD /shared-files/:target/:source/:fileId': 'shared-files-write',
  'PUT /shared-files/:target/:source/:fileId': 'shared-files-write',
  'GET /shared-files/:target/:source/:fileId': 'shared-files-read',
  'GET /shared-files/:target': 'shared-files-read',
  'GET /outbox': 'outbox',
  'POST /outbox/retry': 'administration',
  'POST /outbox/:entryId/retry': 'administration',
  'DELETE /outbox/:entryId': 'administration',
  'GET /shared-folder/*': 'shared-folder',
  'HEAD /shared-folder/*': 'shared-folder',
  'GET /nodes': 'administration',
  'GET /nodes/:nodeId': 'administration',
  'GET /nodes/:nodeId/route': 'administration',
  'GET /system/info': 'system',
  'GET /system/status': 'system',
  'POST /system/reload': 'system',
  'GET /v1/join/ca': 'open',
  'POST /v1/join': 'open',
  'POST /v1/join/renew': 'open',
  'POST /v1/tokens': 'administration',
  'GET /v1/tokens': 'administration',
  'DELETE /v1/tokens/:tokenId': 'administration',
  'DELETE /v1/members/:memberId': 'administration',
  'POST /v1/members/:memberId/move': 'administration',
  'GET /v1/tree': 'tree',
  'POST /v1/tree/changed': 'policy-server',
  'GET /v1/revocations': 'tree',
  'GET /v1/revocations/confirmation': 'tree',
  'GET /v1/token-keys': 'administration',
  'POST /v1/token-keys': 'system',
  'DELETE /v1/token-keys/:keyId': 'administration',
  'POST /v1/signed-tokens': 'system',
  'POST /v1/caller-certificates': 'system',
  'DELETE /v1/signed-tokens/:tokenId': 'administration',
  'POST /v1/revocations': 'revocations'
}
const OUTSIDE: Readonly<Record<string, Access>> = {
  'GET /uuid': 'open',
  'GET /metrics': 'observation',
  'GET /openapi.json': 'observation',
  'GET /v1/system/alive': 'open',
  'GET /v1/system/ready': 'open',
  'GET /v1/system/metrics': 'observation',
  'GET /v1/relay/clients': 'administration',
  'DELETE /v1/relay/clients/:name': 'administration',
  'GET /api/v1/getAgentStatistics': 'administration',
  'GET /v1/relay/links': 'administration',
  'DELETE /v1/relay/links/:nodeId': 'administration'
}

test('every route says who may call it, as the table has it', async t => {
  const parts = await makeRelayParts()
  const seen = new Map<string, Access | undefined>()
  const app = await buildApp({
    services: parts.services,
    logger: pino({ level: 'silent' }),
    beforeRoutes: async scope => {
      scope.addHook('onRoute', route => {
        for (const method of [route.method].flat()) seen.set(`${method} ${route.url}`, route.config?.access)
      })
    }
  })
  t.after(async () => {
    await app.close()
    await parts.close()
  })
  const expected = new Map(Object.entries(OUTSIDE))
  for (const [route, access] of Object.entries(RELAY_API)) expected.set(route.replace(' ', ` ${API_PREFIX}`), access)
  // Fastify answers HEAD wherever there is GET, by the same rule.
  for (const [route, access] of seen) {
    const asGet = route.replace(/^HEAD /, 'GET ')
    assert.equal(access, expected.get(route) ?? expected.get(asGet), `${route} is not in the table, or differs`)
  }
  for (const route of expected.keys()) assert.ok(seen.has(route), `${route} is not registered`)
})

test('a refusal names the setting that would allow the call', async t => {
  const parts = await makeRelayParts({ remote_run: ['allowed_networks = ["10.1.0.0/16"]'] })
  t.after(parts.close)
  const config = parts.services.config()
  const attempt =
    (access: Access, kind: CallerKind, address = '10.2.0.1') =>
    () =>
      checkAccess(access, { kind, address }, config)
  assert.doesNotThrow(attempt('remote-run', 'network', '10.1.2.3'))
  assert.doesNotThrow(attempt('remote-run', 'network', '::ffff:10.1.2.3'))
  assert.throws(attempt('remote-run', 'network'), /remote_run\.allowed_networks/)
  assert.throws(attempt('runs', 'proxied', '127.0.0.1'), /general\.trusted_proxies/)
  assert.throws(attempt('runs', 'proxied', '127.0.0.1'), /not allowed for a caller behind a proxy at 127\.0\.0\.1: /)
  assert.throws(attempt('runs', 'network'), /not allowed for an unknown caller at 10\.2\.0\.1: /)
  assert.throws(
    () => checkAccess('system', { kind: 'node', id: 'n1', address: '10.2.0.1' }, config),
    /not allowed for the node n1 at 10\.2\.0\.1: /
  )
  assert.throws(attempt('system', 'admin'), RelayError)
  for (const access of Object.keys(ACCESS)) assert.notEqual(ACCESS[access as Access].remedy, '')
})

test('a node sees what is its own where it sees anything, and only by an id that was proven', () => {
  const address = '10.2.0.1'
  for (const access of ['trace', 'outbox'] as const) {
    assert.deepEqual(scopeOf(access, { kind: 'node', id: 'n1', address }), { kind: 'own', id: 'n1' })
    assert.deepEqual(scopeOf(access, { kind: 'node', id: 'n1', address, isAdmin: true }), { kind: 'all' })
    assert.deepEqual(scopeOf(access, { kind: 'local', address }), { kind: 'all' })
    for (const kind of ['node', 'network', 'proxied', 'web-page'] as const) {
      assert.throws(() => scopeOf(access, { kind, address }), { code: 'FORBIDDEN' }, `${access}: ${kind} without an id`)
    }
  }
  assert.throws(() => scopeOf('administration', { kind: 'node', id: 'n1', address }), { code: 'FORBIDDEN' })
})
