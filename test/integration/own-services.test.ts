import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { ask } from '../support/network/http.js'
import { startAgent } from '../support/relays/agents.js'
import type { RunningTree } from '../support/relays/relay-tree.js'
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

/** Both parts of a SIGHUP: of an agent, and of a relay, whose configurations have the same sections. */
for (const kind of ['agent', 'relay'] as const) {
  test(`SIGHUP has ${kind === 'agent' ? 'an agent' : 'a relay'} offer other services, while a request to another one goes on`, async t => {
    const { tree, urlOf, serve } = await startServiceTree(t, 'builds')
    const asked: string[] = []
    const answers: ServerResponse[] = []
    const url = await serve((request, response) => {
      asked.push(`${request.url} ${request.headers['x-api-key']}`)
      response.write('begun')
      if (request.url === '/endless/') answers.push(response)
      else response.end()
    })
    const secret = join(tree.folder, 'secret')
    await writeFile(secret, SECRET, { mode: 0o600 })
    const section = (key: string, path = `/${key}`) =>
      `\n[[service]]\nkey = "${key}"\nurl = "${url}${path}"\n[service.credentials]\ntype = "header"\nheader = "X-Api-Key"\nfile = "${secret}"\n`
    const process = kind === 'agent' ? await agentOf(t, tree) : await relayOf(tree)
    const reload = async (text: string, message: string) => {
      const count = process.count(message)
      await writeFile(process.file, `${process.text}${text}`)
      process.signal()
      await eventually(message, () => process.count(message) > count)
    }
    await reload(section('endless') + section('old'), '"msg":"reloaded"')
    const until = (...keys: readonly string[]) =>
      eventually(`the keys ${keys.join()}`, async () => {
        const { result } = JSON.parse((await ask(tree.relay('root'), '/v1/relay/clients')).text)
        return result.map((one: { client_key: string }) => one.client_key).join() === keys.join() && result
      })
    const shown = await until('endless', 'old')
    assert.deepEqual(shown[0].path, ['middle', 'low'])
    assert.equal(shown[0].client_id, kind === 'agent' ? 'node-l1' : 'low')
    const base = (await urlOf('root')).replace(/builds$/, '')
    const endless = await fetch(`${base}endless/`)
    const reader = endless.body?.getReader()
    assert.equal(Buffer.from((await reader?.read())?.value ?? []).toString(), 'begun')
    await reload(section('endless') + section('new'), '"msg":"reloaded"')
    await until('endless', 'new')
    assert.equal((await fetch(`${base}old/`)).status, 502)
    assert.equal(await (await fetch(`${base}new/`)).text(), 'begun')
    await reload(`${section('endless')}${section('new', '/moved').replace('X-Api-Key', 'Host')}`, 'stay')
    assert.equal(await (await fetch(`${base}new/`)).text(), 'begun')
    answers[0]?.end(' and ended')
    assert.equal(Buffer.from((await reader?.read())?.value ?? []).toString(), ' and ended')
    assert.deepEqual(
      asked,
      ['/endless/ ', '/new/ ', '/new/ '].map(line => line + SECRET)
    )
  })
}

/** A process whose configuration is replaced. */
interface Reloaded {
  readonly file: string
  /** Its configuration without services. */
  readonly text: string
  signal(): void
  /** Lines of its log that have a text. */
  count(text: string): number
}

async function agentOf(t: TestContext, tree: RunningTree): Promise<Reloaded> {
  const agent = await startAgent(t, tree, 'node-l1')
  const file = join(agent.directory, 'agent.conf')
  return {
    file,
    text: `${await readFile(file, 'utf8')}\n`,
    signal: () => agent.signal('SIGHUP'),
    count: text => agent.log.filter(line => line.includes(text)).length
  }
}

async function relayOf(tree: RunningTree): Promise<Reloaded> {
  const file = join(tree.relay('low').directory, 'main.conf')
  return {
    file,
    text: `${await readFile(file, 'utf8')}\n`,
    signal: () => process.kill(tree.processes.get('low')?.pid ?? 0, 'SIGHUP'),
    count: text => (tree.processes.get('low')?.log ?? []).filter(line => line.includes(text)).length
  }
}
