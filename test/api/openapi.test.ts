import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import fastify, { type FastifySchema, type RouteOptions } from 'fastify'
import pino from 'pino'
import { KINDS } from '../../src/api/answers/described-failures.js'
import { STATUS } from '../../src/api/answers/error-handler.js'
import { buildApp } from '../../src/api/app.js'
import { createAnswerCheck } from '../support/network/described-answers.js'
import { describeApi } from '../support/network/openapi.js'
import { makeRelayParts } from '../support/parts/relay-parts.js'

async function keptDescription() {
  return JSON.parse(await readFile(new URL('../../docs/openapi.json', import.meta.url), 'utf8'))
}

test('docs/openapi.json is what the routes say (npm run openapi writes it anew)', async () => {
  assert.deepEqual(JSON.parse(JSON.stringify(await describeApi())), await keptDescription())
})

/** The routes as they are registered. */
async function registeredRoutes(t: TestContext): Promise<RouteOptions[]> {
  const parts = await makeRelayParts()
  t.after(parts.close)
  const routes: RouteOptions[] = []
  const app = await buildApp({
    services: parts.services,
    logger: pino({ level: 'silent' }),
    beforeRoutes: async scope => {
      scope.addHook('onRoute', route => void routes.push(route))
    }
  })
  t.after(() => app.close())
  return routes
}

test('it has every route, and the body of each that takes one', async t => {
  const { paths } = await keptDescription()
  const routes: string[] = []
  for (const { method, url } of await registeredRoutes(t)) {
    const isImplied = method === 'HEAD' && routes.includes(`GET ${url}`) // Fastify's own, wherever there is GET
    if (!isImplied) routes.push(`${method} ${url}`)
  }
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

test('the schemas of the routes are schemas, which no start checks', async t => {
  const schemas = (await registeredRoutes(t)).flatMap(({ schema }) => (schema === undefined ? [] : [schema]))
  const check = async (checked: readonly FastifySchema[]) => {
    const checking = fastify() // with the options of Fastify, which checks them
    for (const [index, schema] of checked.entries()) {
      checking.route({ method: 'POST', url: `/${index}`, schema, handler: async () => undefined })
    }
    await checking.ready()
    await checking.close()
  }
  assert.ok(schemas.length > 30, `${schemas.length}`)
  await check(schemas)
  await assert.rejects(check([{ querystring: { type: 'object', properties: { ttl: { minLength: 'one' } } } }]))
})

test('every status of a failure is named by a route, none by a wildcard, and no kind of route is of none', async () => {
  const { paths } = await keptDescription()
  const operations = Object.entries<object>(paths).flatMap(([path, methods]) =>
    Object.entries<{ responses: object }>(methods as never).map(([method, { responses }]) => ({
      route: `${method.toUpperCase()} ${path}`,
      statuses: Object.keys(responses)
    }))
  )
  const named = new Set(operations.flatMap(({ statuses }) => statuses))
  for (const [code, status] of Object.entries(STATUS)) assert.ok(named.has(String(status)), code)
  assert.deepEqual(
    [...named].filter(status => !/^[2-5]\d\d$/.test(status)),
    []
  )
  for (const { routes } of KINDS)
    assert.ok(
      operations.some(({ route }) => routes.test(route)),
      String(routes)
    )
})

test('an answer with a status or a type that the description does not name is found, in any spelling of the path', () => {
  const check = createAnswerCheck()
  const text = 'text/plain; charset=utf-8'
  const found = (method: string, target: string, status: number, type?: string) =>
    check({ method, target, status, type }) !== undefined
  assert.equal(found('GET', '/rudder/relay-api/nodes/n1', 404, text), false)
  assert.equal(found('GET', '/rudder/relay-api/nodes/n1', 418, text), true)
  assert.equal(found('GET', '//relay-api/nodes?limit=1', 404, text), true)
  assert.equal(found('GET', '/relay-api/1/nodes/n1', 404, 'text/html'), true)
  assert.equal(found('POST', '/remote-run/nodes', 404, text), true)
  assert.equal(found('POST', '/remote-run/nodes/n1', 404, text), false)
  assert.equal(found('HEAD', '/shared-files/a/b/c', 404), false)
  assert.equal(found('HEAD', '/shared-files/a/b/c', 409), false, 'as another relay refused it')
  assert.equal(found('HEAD', '/shared-files/a/b/c', 504), true)
  assert.equal(found('HEAD', 'http://relay/uuid', 404), true)
  assert.equal(found('GET', '/no/such/route', 404, text), false)
})

test('a refusal is JSON for whoever asks for it, also where the route has a schema of its own for the status', async t => {
  const parts = await makeRelayParts()
  t.after(parts.close)
  const { services } = parts
  const system = { ...services.system, unreadiness: () => Promise.reject(new Error('a fault')) }
  const app = await buildApp({ services: { ...services, system }, logger: pino({ level: 'silent' }) })
  t.after(() => app.close())
  const headers = { accept: 'application/json' }
  for (const [method, url, status, code] of [
    ['POST', '/rudder/relay-api/remote-run/nodes', 400, 'INVALID_INPUT'],
    ['GET', '/v1/system/ready', 500, 'INTERNAL']
  ] as const) {
    const answer = await app.inject({ method, url, headers, remoteAddress: '127.0.0.1' })
    assert.equal(answer.statusCode, status)
    const { message, requestId, ...rest } = answer.json()
    assert.deepEqual([rest, typeof message, typeof requestId], [{ code }, 'string', 'string'])
  }
})
