import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { ask } from '../support/network/http.js'
import { startAgent } from '../support/relays/agents.js'
import { startServiceTree } from '../support/relays/service-tree.js'

const SECRET = 'a-secret-that-nobody-above-sees'

test('an agent offers a service with a credential of its own to callers of every relay above it', async t => {
  const { tree, urlOf, untilKnown, serve } = await startServiceTree(t, 'builds')
  const seen: string[] = []
  const url = await serve((request, response) => {
    seen.push(`${request.url} ${request.headers.authorization}`)
    response.end('from the service')
  })
  const secret = join(tree.folder, 'secret')
  await writeFile(secret, `${SECRET}\n`, { mode: 0o600 })
  const agent = await startAgent(t, tree, 'node-l1', {
    more: `
[[service]]
key = "builds"
type = "jenkins"
url = "${url}/jenkins"
[service.annotations]
description = "builds of the east"
[service.credentials]
type = "bearer"
file = "${secret}"
`
  })
  await untilKnown('middle>low')
  for (const id of ['root', 'low']) {
    const answer = await fetch(`${await urlOf(id)}/job?x=1`, { headers: { authorization: 'Bearer of-the-caller' } })
    assert.equal(await answer.text(), 'from the service')
  }
  assert.deepEqual(seen, [`/jenkins/job?x=1 Bearer ${SECRET}`, `/jenkins/job?x=1 Bearer ${SECRET}`])
  const { result } = JSON.parse((await ask(tree.relay('root'), '/v1/relay/clients')).text)
  const { remote_address: address, connected_at: since, ...facts } = result[0]
  assert.match(address, /^127\.0\.0\.1:\d+$/)
  assert.ok(Date.parse(since) > 0, since)
  assert.deepEqual(facts, {
    client_key: 'builds',
    client_id: 'node-l1',
    path: ['middle', 'low'],
    type: 'jenkins',
    annotations: { description: 'builds of the east' }
  })
  agent.signal('SIGTERM')
  await agent.ended
  await eventually('the end of the service', async () => (await fetch(`${await urlOf('root')}/`)).status === 502)
  const logs = [...agent.log, ...(tree.processes.get('low')?.log ?? [])]
  assert.ok(!logs.join('\n').includes(SECRET))
})
