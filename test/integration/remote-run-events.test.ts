import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request as plainRequest } from 'node:http'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import type { RunEvent } from '../../src/values/runs/run-event.js'
import { eventually } from '../support/eventually.js'
import { type Answer, ask, postForm } from '../support/network/http.js'
import { startTree } from '../support/relays/relay-tree.js'
import { SLOW_AGENT, slowAgents } from '../support/relays/slow-agent.js'

const NDJSON = 'application/x-ndjson'
const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1'] },
  { id: 'relay-a', under: 'root', nodes: ['node-a1'] },
  { id: 'sub', under: 'relay-a', nodes: ['node-slow', 'node-s1'] }
]

function eventsOf(answer: Answer): RunEvent[] {
  assert.equal(answer.status, 200, answer.text)
  assert.equal(answer.headers['content-type'], NDJSON)
  return answer.text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}

test('runs as events, and their records', async t => {
  const tree = await startTree(t, { relays: RELAYS, agent: SLOW_AGENT })
  const agents = slowAgents(tree.folder)
  const [root, relayA, sub] = ['root', 'relay-a', 'sub'].map(id => tree.relay(id))
  assert.ok(root !== undefined && relayA !== undefined && sub !== undefined)
  const headers = { accept: NDJSON }
  const record = async (relay: typeof root, id: string) => JSON.parse((await ask(relay, `/runs/${id}`)).text)
  const state = (relay: typeof root, id: string, wanted: string) =>
    eventually(`${wanted} at ${relay.id}`, async () => (await record(relay, id)).state === wanted)

  await t.test('NDJSON in all four combinations; output only where it was asked for', async () => {
    for (const keepOutput of ['true', 'false']) {
      for (const asynchronous of ['true', 'false']) {
        const form = { keep_output: keepOutput, asynchronous, nodes: 'node-r1,node-a1,node-s1' }
        const answer = await postForm(root, '/remote-run/nodes', form, { headers })
        const events = eventsOf(answer)
        const run = answer.headers['treeline-run-id']
        assert.ok(events.every(event => event.run === run))
        assert.deepEqual(
          events.map(event => event.seq),
          events.map((_, index) => index + 1)
        )
        assert.equal(events[0]?.event, 'start')
        assert.deepEqual([events.at(-1)?.event, events.at(-1)?.outcome], ['end', 'done'])
        const ended = events.filter(({ event, outcome }) => event === 'node' && outcome === 'done')
        assert.deepEqual(ended.map(({ node, relay, exit_code: exitCode }) => [node, relay, exitCode]).sort(), [
          ['node-a1', 'relay-a', 0],
          ['node-r1', 'root', 0],
          ['node-s1', 'sub', 0]
        ])
        assert.ok(ended.every(({ duration_ms: durationMs }) => typeof durationMs === 'number'))
        const output = events.filter(({ event }) => event === 'output')
        assert.equal(output.length > 0, keepOutput === 'true')
        assert.ok(output.every(({ stream, data }) => stream === 'stdout' && data?.endsWith('\n')))
      }
    }
  })

  await t.test('asynchronous: output streams as it comes', async () => {
    await agents.reset('node-slow')
    const form = new URLSearchParams({ keep_output: 'true', asynchronous: 'true' }).toString()
    const request = plainRequest(`${root.localUrl}/remote-run/nodes/node-slow`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' }
    })
    request.end(form)
    const [response]: [IncomingMessage] = (await once(request, 'response')) as [IncomingMessage]
    const lines = createInterface({ input: response })
    const [first] = await once(lines, 'line')
    assert.equal(first, 'start of node-slow.example.test')
    const rest = once(lines, 'line')
    await agents.release()
    assert.deepEqual(await rest, ['end of node-slow.example.test'])
  })

  await t.test('asynchronous without output: the answer comes at once, the run goes on', async () => {
    await agents.reset('node-slow')
    const answer = await postForm(root, '/remote-run/all', { asynchronous: 'true', conditions: 'one,two' })
    assert.deepEqual([answer.status, answer.text], [200, ''])
    const id = String(answer.headers['treeline-run-id'])
    await agents.started('node-slow')
    const running = await record(root, id)
    assert.deepEqual([running.state, running.asked_by.includes('local')], ['running', true])
    assert.deepEqual(running.conditions, ['one', 'two'])
    for (const relay of [relayA, sub]) assert.equal((await record(relay, id)).state, 'running')
    assert.match((await ask(root, '/metrics')).text, /^treeline_runs_running 1$/m)
    await agents.release()
    for (const relay of [root, relayA, sub]) await state(relay, id, 'done')
    const done = await record(root, id)
    assert.deepEqual(done.counts, { done: 7 })
    const via = Object.fromEntries(
      done.node_records.map((node: { node: string; via?: string }) => [node.node, node.via])
    )
    assert.deepEqual(
      [via['node-slow'], via['node-r1'], via['relay-a'], via.sub],
      ['relay-a', undefined, undefined, 'relay-a']
    )
    const { runs } = JSON.parse((await ask(root, '/runs?limit=2')).text)
    assert.deepEqual([runs.length, runs[0].id], [2, id])
    const before = JSON.parse((await ask(root, `/runs?before=${id}`)).text).runs
    assert.ok(before.every((run: { id: string }) => run.id < id))
    const page = JSON.parse((await ask(root, `/runs/${id}?limit=3`)).text)
    assert.equal(page.node_records.length, 3)
    const next = JSON.parse((await ask(root, `/runs/${id}?after=${page.next}`)).text)
    assert.equal(next.node_records.length, 4)
  })

  await t.test('events?after gives the rest, of a run that ended and of one under way', async () => {
    await agents.reset('node-slow')
    const answer = await postForm(root, '/remote-run/nodes', { asynchronous: 'true', nodes: 'node-slow,node-r1' })
    const id = String(answer.headers['treeline-run-id'])
    await agents.started('node-slow')
    const whole = ask(root, `/runs/${id}/events`)
    await agents.release()
    const events = eventsOf(await whole)
    assert.equal(events.at(-1)?.event, 'end')
    const again = eventsOf(await ask(root, `/runs/${id}/events`))
    assert.deepEqual(
      again.filter(({ event }) => event !== 'alive'),
      events.filter(({ event }) => event !== 'alive')
    )
    const rest = eventsOf(await ask(root, `/runs/${id}/events?after=${events.length - 2}`))
    assert.deepEqual(
      rest.map(({ seq }) => seq),
      events.slice(-2).map(({ seq }) => seq)
    )
    assert.equal((await ask(root, '/runs/01BX5ZZKBKACTAV9WEVGEMMVRZ/events')).status, 404)
    assert.equal((await ask(root, '/runs/rubbish')).status, 404)
    assert.equal((await ask(root, `/runs/${id}/events?after=-1`)).status, 400)
  })

  await t.test('cancel goes down to the processes', async () => {
    await agents.reset('node-slow')
    const answer = await postForm(root, '/remote-run/all', { asynchronous: 'true' })
    const id = String(answer.headers['treeline-run-id'])
    const pid = await agents.started('node-slow')
    const cancelled = await ask(root, `/runs/${id}/cancel`, { method: 'POST' })
    assert.equal(cancelled.status, 200, cancelled.text)
    assert.equal(JSON.parse(cancelled.text).state, 'cancelled')
    await agents.gone(pid)
    for (const relay of [root, relayA, sub]) await state(relay, id, 'cancelled')
    const { node_records: nodes } = await record(root, id)
    const slow = nodes.find(({ node }: { node: string }) => node === 'node-slow')
    assert.equal(slow.outcome, 'cancelled')
    const twice = await ask(root, `/runs/${id}/cancel`, { method: 'POST' })
    assert.deepEqual([twice.status, JSON.parse(twice.text).state], [200, 'cancelled'])
  })
})
