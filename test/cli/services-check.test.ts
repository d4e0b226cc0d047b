import assert from 'node:assert/strict'
import { appendFile, chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkAgentStart, checkRelayStart } from '../../src/cli/checks/start-files-check.js'
import { loadAgentConfig } from '../../src/config/agent/agent-loader.js'
import { loadConfig } from '../../src/config/config-loader.js'
import { makeAgentFolder, makeRelayFolder } from '../support/parts/checked-folders.js'

const SECRET = 'robot of-the-edge'
const SERVICES = `
[[service]]
key = "basic"
url = "http://a"
credentials = { type = "basic", file = "basic" }
[[service]]
key = "missing"
url = "http://b"
credentials = { type = "bearer", secret = "missing" }
[[service]]
key = "variable"
url = "http://c"
credentials = { type = "bearer", env = "TREELINE_NOT_SET" }
[[service]]
key = "issuers"
url = "https://d"
ca_file = "basic"
[[service]]
key = "cluster"
type = "kubernetes"
kubeconfig = "kubeconfig"
[[service]]
key = "pod"
type = "kubernetes"
[[service]]
key = "files"
type = "aws"
url = "https://f"
aws_region = "eu-central-1"
aws_service = "s3"
credentials = { type = "aws", file = "basic" }
[[service]]
key = "good"
url = "http://e"
credentials = { type = "bearer", file = "basic" }
`

for (const kind of ['an agent', 'a relay'] as const) {
  test(`what the services of ${kind} need and cannot use is warned of, and so are secrets that others may read`, async t => {
    const folder = kind === 'an agent' ? await makeAgentFolder(t) : await makeRelayFolder(t)
    await appendFile(join(folder, kind === 'an agent' ? 'agent.conf' : 'main.conf'), SERVICES)
    await writeFile(join(folder, 'basic'), SECRET)
    await chmod(join(folder, 'basic'), 0o644)
    const user = { name: 'u', user: { exec: { command: 'aws' } } }
    const context = { name: 'c', context: { cluster: 'c', user: 'u' } }
    const clusters = [{ name: 'c', cluster: { server: 'https://c' } }]
    const kubeconfig = { 'current-context': 'c', clusters, contexts: [context], users: [user] }
    await writeFile(join(folder, 'kubeconfig'), JSON.stringify(kubeconfig))
    const { problems, warnings, notes } =
      kind === 'an agent' ? await checkAgentStart(loadAgentConfig(folder)) : await checkRelayStart(loadConfig(folder))
    assert.deepEqual(problems, [])
    const all = [...warnings, ...notes].join('\n')
    for (const says of [
      /^service basic: credentials\.file: expected user:password; its requests are refused/m,
      /^service missing: credentials\.secret \S+\/missing\/token cannot be read: there is no such file/m,
      /^service variable: credentials\.env TREELINE_NOT_SET was not looked at/m,
      /^service issuers: ca_file \S+ holds no readable certificate/m,
      /^service cluster: the user u has credentials of the kind exec/m,
      /^service pod: service_account, which needs KUBERNETES_SERVICE_HOST of a pod, was not looked at/m,
      /^service files: the profile default is not there/m,
      /^service good: credentials\.file \S+ has mode 0644/m
    ]) {
      assert.match(all, says)
    }
    assert.ok(!all.includes(SECRET), all)
    assert.doesNotMatch(all, /service good: credentials\.file: /)
  })
}
