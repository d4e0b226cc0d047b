import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { KNOWN_KEYS, startAwsVerifier } from '../support/network/aws-verifier.js'
import { startKubernetesApi } from '../support/network/kubernetes-api.js'
import { startAgent } from '../support/relays/agents.js'
import { startServiceTree } from '../support/relays/service-tree.js'

test('an agent signs for AWS, logs in to a cluster by a kubeconfig, and tells a service its name', async t => {
  const { tree, urlOf, untilKnown, serve } = await startServiceTree(t, '*')
  const aws = await startAwsVerifier(t, 's3')
  const api = await startKubernetesApi(t, tree.folder)
  const named = await serve((request, response) => response.end(String(request.headers['x-opsmx-agent-name'])))
  const file = (name: string) => join(tree.folder, name)
  const keys = `[default]\naws_access_key_id = ${KNOWN_KEYS.accessKeyId}\naws_secret_access_key = ${KNOWN_KEYS.secretAccessKey}\n`
  await writeFile(file('aws'), keys, { mode: 0o600 })
  const kubeconfig = `
current-context: c
clusters: [{ name: c, cluster: { server: "${api.url}", certificate-authority: api.cert } }]
contexts: [{ name: c, context: { cluster: c, user: u } }]
users: [{ name: u, user: { token: token-1 } }]
`
  await writeFile(file('kubeconfig'), kubeconfig, { mode: 0o600 })
  await startAgent(t, tree, 'node-l1', {
    more: `
[[service]]
key = "files"
type = "aws"
url = "${aws.url}"
aws_region = "eu-central-1"
aws_service = "s3"
credentials = { type = "aws", file = "${file('aws')}" }
[[service]]
key = "cluster"
type = "kubernetes"
kubeconfig = "${file('kubeconfig')}"
[[service]]
key = "named"
url = "${named}"
opsmx = true
`
  })
  await untilKnown('middle>low', 'middle>low', 'middle>low')
  const base = (await urlOf('root')).replace(/\*$/, '')
  const put = await fetch(`${base}files/bucket/a%20b?partNumber=1`, { method: 'PUT', body: 'content' })
  assert.equal(await put.text(), 'right')
  assert.deepEqual(
    aws.verified.map(({ url, body }) => [url, body.toString()]),
    [['/bucket/a%20b?partNumber=1', 'content']]
  )
  assert.deepEqual(await (await fetch(`${base}cluster/version`)).json(), { who: 'token-1', url: '/version' })
  const told = await fetch(`${base}named/`, { headers: { 'X-Opsmx-Agent-Name': 'other', x_opsmx_agent_name: 'other' } })
  assert.equal(await told.text(), 'node-l1')
})
