import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import pino from 'pino'
import { buildApp } from '../../src/api/app.js'
import { describeApi } from '../support/network/openapi.js'
import { makeRelayParts } from '../support/parts/relay-parts.js'

async function keptDescription() {
  return JSON.parse(await readFile(new URL('../../docs/openapi.json', import.meta.url), 'utf8'))
}

test('docs/openapi.json is what the routes say (npm run openapi writes it anew)', async () => {
  assert.deepEqual(JSON.parse(JSON.stringify(await describeApi())), await keptDescription())
})

test('it has every route, and the body of each that takes one', async t => {
  const { paths } = await keptDescription()
  const parts = await makeRelayParts()
  t.after(parts.close)
  const routes: string[] = []
  const app = await buildApp({
    services: parts.services,
    logger: pino({ level: 'silent' }),
    beforeRoutes: async scope => {
      scope.addHook('onRoute', ({ method, url }) => {
        const isImplied = method === 'HEAD' && routes.includes(`GET ${url}`) // Fastify's own, wherever there is GET
        if (!isImplied) routes.push(`${method} ${url}`)
      })
    }
  })
  t.after(() => app.close())
  const described = Object.entries<object>(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(
      method => `${method.toUpperCase()} ${path.replace(/\{([^}]+)\}/g, ':$1').replace(':*', '*')}`
    )
  )
  assert.deepEqual(described.sort(), routes.sort())
  const bodyOf = (path: string, method: string) => paths[`/rudder/relay-api/${path}`][method].requestBody
  assert.deepEqual(Object.keys(bodyOf('remote-run/all', 'post').content), ['application/x-www-form-urlencoded'])
  assert.equal(bodyOf('remote-run/all', 'post').required, false)
  assert.equal(bodyOf('remote-run/nodes', 'post').required, true)
  assert.equal(bodyOf('shared-files/{target}/{source}/{fileId}', 'put').required, true)
})
