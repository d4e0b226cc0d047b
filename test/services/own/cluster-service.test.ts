import assert from 'node:assert/strict'
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { ClusterConfig } from '../../../src/config/services/service-config.js'
import { openClusterAccess } from '../../../src/services/kubernetes/open-cluster-access.js'
import { clusterService } from '../../../src/services/own/cluster-service.js'
import { formatOpening } from '../../../src/services/streams/open-line.js'
import { StreamKinds } from '../../../src/services/streams/stream-kinds.js'
import { silentLogger } from '../../../src/values/logging/logger.js'
import { eventually } from '../../support/eventually.js'
import { temporaryFolder } from '../../support/machine/treeline-command.js'
import { startKubernetesApi } from '../../support/network/kubernetes-api.js'
import { connectionPair, listenTo } from '../../support/parts/stream-pairs.js'

const TRUSTED = {}

type Api = Awaited<ReturnType<typeof startKubernetesApi>>

/** A service of the type kubernetes, and a relay above that asks it. */
async function startCluster(t: TestContext, cluster: ClusterConfig) {
  const problems: string[] = []
  const logger = { ...silentLogger, warn: ({ problem }: { problem?: string }) => void problems.push(problem ?? '') }
  const owner = { key: 'cluster', logger: Object.assign(Object.create(silentLogger), logger) }
  const service = clusterService(await openClusterAccess(cluster, owner), {
    ...owner,
    tls: () => TRUSTED,
    onAnswered: () => undefined
  })
  t.after(() => service.close())
  const pair = await connectionPair(t)
  pair.take(new StreamKinds('node').on('http', service.take).take)
  const ask = async (target = '/version', headers = '') => {
    const line = { kind: 'http', key: 'cluster', base: '', origin: 'http://relay', body: 'none' }
    const opening = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: relay\r\n${headers}\r\n`)
    const stream = pair.upper.open(formatOpening(line, opening))
    const received = listenTo(stream)
    stream.end()
    await eventually('an answer', () => received.hasEnded || received.reset || target.endsWith('watch=1'))
    return { stream, received, text: received.reset === undefined ? received.text : `reset: ${received.reset.message}` }
  }
  return { ask, problems }
}

/** @param user in YAML, indented by four blanks */
function kubeconfig({ url, own }: Pick<Api, 'url' | 'own'>, user: string): string {
  const ca = Buffer.from(own.cert).toString('base64')
  return `current-context: c
clusters: [{ name: c, cluster: { server: "${url}", certificate-authority-data: ${ca} } }]
contexts: [{ name: c, context: { cluster: c, user: u } }]
users:
- name: u
  user:
${user}
`
}

/** Replaces a file at once. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}

async function startContext(t: TestContext, user: string) {
  const folder = await temporaryFolder(t)
  const api = await startKubernetesApi(t, folder)
  const file = join(folder, 'kubeconfig')
  await writeFile(file, kubeconfig(api, user))
  return { api, folder, file, ...(await startCluster(t, { kind: 'kubeconfig', file, context: undefined })) }
}

for (const [what, user, who] of [
  ['a token', '    token: token-1', 'token-1'],
  ['a name and a password', '    { username: anna, password: secret }', 'anna'],
  ['a client certificate', '    { client-certificate: user.cert, client-key: user.key }', 'certificate']
] as const) {
  test(`a user with ${what} is the one who asks, whatever the caller shows`, async t => {
    const { ask, api } = await startContext(t, user)
    const { text } = await ask('/api/v1/pods?limit=1', 'Authorization: Bearer of-the-caller\r\n')
    assert.match(text, new RegExp(`200 OK.*"who":"${who}","url":"/api/v1/pods\\?limit=1"`, 's'))
    assert.equal(api.requests.at(-1)?.headers.host, `localhost:${api.port}`)
  })
}

test('a token in a file is read again when it changes, and at once when the server refuses it', async t => {
  const { ask, api, folder } = await startContext(t, '    tokenFile: token')
  await writeFile(join(folder, 'token'), 'token-1\n')
  await eventually('the token', async () => (await ask()).text.includes('"who":"token-1"'))
  const { length } = api.requests
  const connections = api.connections()
  api.tokens.clear()
  api.tokens.add('token-2')
  await replace(join(folder, 'token'), 'token-2\n')
  assert.match((await ask()).text, /"who":"token-2"/)
  assert.ok(api.requests.length <= length + 2, 'asked at most twice')
  assert.ok(api.connections() <= connections + 1, 'a token alone ends no connection')
})

test('a client certificate and its key are exchanged while requests run, and none fails', async t => {
  const { ask, api, folder } = await startContext(t, '    { client-certificate: c.pem, client-key: k.pem }')
  await writeFile(join(folder, 'c.pem'), api.user.cert)
  await writeFile(join(folder, 'k.pem'), api.user.key)
  await eventually('the certificate', async () => (await ask()).text.includes('"who":"certificate"'))
  await replace(join(folder, 'c.pem'), api.own.cert) // its key is not there yet
  for (let count = 0; count < 20; count += 1) assert.match((await ask()).text, /"who":"certificate"/)
})

test('a kubeconfig that comes to name another server gets no request with the former secrets', async t => {
  const { ask, api, file } = await startContext(t, '    token: token-1')
  assert.match((await ask()).text, /"who":"token-1"/)
  const folder = await temporaryFolder(t)
  const other = await startKubernetesApi(t, folder)
  other.tokens.add('token-2')
  await replace(file, kubeconfig(other, '    token: token-2'))
  await eventually('the other server', async () => (await ask()).text.includes('"who":"token-2"'))
  const shownTo = ({ requests }: Api) => new Set(requests.map(({ headers }) => headers.authorization))
  assert.deepEqual(shownTo(api), new Set(['Bearer token-1']))
  assert.deepEqual(shownTo(other), new Set(['Bearer token-2']))
})

test('a user that needs a program is told in the log by its name, and requests are refused', async t => {
  const { ask, problems } = await startContext(t, '    exec: { command: aws }')
  assert.match(problems.join(), /the user u has credentials of the kind exec/)
  assert.match((await ask()).text, /^reset: no answer from the service: its kubeconfig cannot be used/)
})

test('a server with another certificate gets no secret', async t => {
  const folder = await temporaryFolder(t)
  const api = await startKubernetesApi(t, folder)
  const file = join(folder, 'kubeconfig')
  await writeFile(file, kubeconfig({ url: api.url, own: api.user }, '    token: token-1'))
  const { ask } = await startCluster(t, { kind: 'kubeconfig', file, context: undefined })
  assert.match((await ask()).text, /^reset: no answer from the service: .*CERT/i)
  assert.equal(api.requests.length, 0)
})

test("the pod's service account is used, and its token read again when the kubelet exchanges it", async t => {
  const folder = await temporaryFolder(t)
  const api = await startKubernetesApi(t, folder)
  const mount = join(folder, 'serviceaccount')
  const rotate = async (name: string, token: string) => {
    await mkdir(join(mount, name), { recursive: true })
    await writeFile(join(mount, name, 'token'), token)
    await writeFile(join(mount, name, 'ca.crt'), api.own.cert)
    await symlink(name, join(mount, '..data.new'))
    await rename(join(mount, '..data.new'), join(mount, '..data'))
  }
  await rotate('..1', 'token-1')
  await symlink('..data/token', join(mount, 'token'))
  await symlink('..data/ca.crt', join(mount, 'ca.crt'))
  process.env.KUBERNETES_SERVICE_HOST = 'localhost'
  process.env.KUBERNETES_SERVICE_PORT = String(api.port)
  t.after(() => {
    delete process.env.KUBERNETES_SERVICE_HOST
    delete process.env.KUBERNETES_SERVICE_PORT
  })
  const { ask } = await startCluster(t, { kind: 'service-account', folder: mount })
  assert.match((await ask()).text, /"who":"token-1"/)
  api.tokens.add('token-2')
  await rotate('..2', 'token-2')
  await eventually('the new token', async () => (await ask()).text.includes('"who":"token-2"'))
})

test('outside of a pod the log says so, and requests are refused', async t => {
  const { ask, problems } = await startCluster(t, { kind: 'service-account', folder: await temporaryFolder(t) })
  assert.match(problems.join(), /this is no pod of Kubernetes; set kubeconfig/)
  assert.match((await ask()).text, /^reset: no answer from the service: its service_account cannot be used/)
})

test('a watch passes its first line at once, and ends at the server when its caller leaves', async t => {
  const { ask, api } = await startContext(t, '    token: token-1')
  const { stream, received } = await ask('/api/v1/pods?watch=1')
  await eventually('the first line', () => received.text.includes('ADDED'))
  stream.reset(1, 'left')
  await eventually('the end at the server', () => api.requests.at(-1)?.socket.destroyed)
})
