import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { startKubernetesApi } from '../support/network/kubernetes-api.js'
import { startAgent } from '../support/relays/agents.js'
import { startServiceTree } from '../support/relays/service-tree.js'

const run = promisify(execFile)

test('kubectl asks a cluster through a listener of its own, with the access of an agent two levels below', async t => {
  const { tree, untilKnown } = await startServiceTree(t, 'cluster')
  const api = await startKubernetesApi(t, tree.folder)
  const kubeconfig = join(tree.folder, 'agent.kubeconfig')
  const user = '{ client-certificate: user.cert, client-key: user.key }'
  await writeFile(
    kubeconfig,
    `current-context: c
clusters: [{ name: c, cluster: { server: "${api.url}", certificate-authority: api.cert } }]
contexts: [{ name: c, context: { cluster: c, user: u } }]
users: [{ name: u, user: ${user} }]
`,
    { mode: 0o600 }
  )
  await startAgent(t, tree, 'node-l1', {
    more: `[[service]]\nkey = "cluster"\ntype = "kubernetes"\nkubeconfig = "${kubeconfig}"\n`
  })
  await untilKnown('middle>low')
  const listener = '\n[[service_listener]]\nlisten = "127.0.0.1:0"\ntls = false\nfixed = "cluster"\n'
  await appendFile(join(tree.relay('root').directory, 'main.conf'), listener)
  const root = tree.processes.get('root')
  root?.signal('SIGHUP')
  const line = await root?.logged(text => text.includes('listener for services opened'))
  const server = /http:\/\/127\.0\.0\.1:\d+/.exec(line ?? '')?.[0] ?? ''
  const { stdout } = await run('kubectl', ['--kubeconfig=/dev/null', `--server=${server}`, 'get', '--raw', '/version'])
  assert.deepEqual(JSON.parse(stdout), { who: 'certificate', url: '/version' })
})
