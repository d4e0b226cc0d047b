import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { RunEvent } from '../../src/values/runs/run-event.js'
import { eventually } from '../support/eventually.js'
import { isAlive } from '../support/machine/is-alive.js'
import { ask, postForm } from '../support/network/http.js'
import { type AgentProcess, showRun, startAgent } from '../support/relays/agents.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'

const API = '/rudder/relay-api'
const NODES = ['node-1', 'node-2', 'node-3']

function startRoot(t: Parameters<typeof startTree>[0], logLevel = 'info'): Promise<RunningTree> {
  return startTree(t, { relays: [{ id: 'root', under: 'root', nodes: NODES }], logLevel })
}

function run(tree: RunningTree, nodes: string, form: Record<string, string> = {}, signal?: AbortSignal) {
  return postForm(
    tree.relay('root'),
    `${API}/remote-run/nodes`,
    { nodes, keep_output: 'true', ...form },
    signal === undefined ? {} : { signal }
  )
}

async function startAsync(tree: RunningTree, nodes: string, conditions: string): Promise<string> {
  const answer = await run(tree, nodes, { asynchronous: 'true', keep_output: 'false', conditions })
  assert.equal(answer.status, 200, answer.text)
  return String(answer.headers['treeline-run-id'])
}

async function eventsOf(tree: RunningTree, runId: string): Promise<RunEvent[]> {
  const { text } = await ask(tree.relay('root'), `${API}/runs/${runId}/events`)
  return text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as RunEvent)
}

/** Of each start of the command. */
function pids(agent: AgentProcess): number[] {
  const lines = readFileSync(`${agent.command}.started`, 'utf8').trim().split('\n')
  return lines.filter(line => line !== 'end').map(Number)
}

function starts(agent: AgentProcess): number {
  try {
    return pids(agent).length
  } catch {
    return 0
  }
}

async function outcome(tree: RunningTree, runId: string, node: string): Promise<string> {
  const { node_records: records } = await showRun(tree, 'root', runId)
  return records.find(record => record.node === node)?.outcome ?? ''
}

function untilOutcome(tree: RunningTree, runId: string, node: string, wanted: string): Promise<true> {
  return eventually(`${node} ${wanted}`, async () => (await outcome(tree, runId, node)) === wanted)
}

test('a node that holds a link runs itself; the others are run by the command, and the record says so', async t => {
  const tree = await startRoot(t)
  const agent = await startAgent(t, tree, 'node-1')

  const answer = await run(tree, 'node-1,node-2', { conditions: 'a,b' })
  assert.match(answer.text, /^node run: agent run -D a,b$/m)
  assert.doesNotMatch(answer.text, /careful/, 'text leaves standard error out')
  assert.match(answer.text, /^agent of node-2\.example\.test$/m)
  const record = await showRun(tree, 'root', String(answer.headers['treeline-run-id']))
  assert.equal(record.state, 'done')
  assert.deepEqual(
    record.node_records.map(({ node, reached, outcome: became, exit_code }) => [node, reached, became, exit_code]),
    [
      ['node-1', 'link', 'done', 0],
      ['node-2', 'command', 'done', 0]
    ]
  )

  await t.test('its exit code is told', async () => {
    const failed = await run(tree, 'node-1', { conditions: 'fails' })
    assert.match(failed.text, /^error: node-1: exit code 3$/m)
  })

  await t.test('a cancelled run ends the whole process group', async () => {
    const before = starts(agent)
    const runId = await startAsync(tree, 'node-1', 'hang')
    await eventually('the command', () => starts(agent) > before)
    const child = await eventually('its child', () => {
      try {
        return Number(readFileSync(`${agent.command}.child`, 'utf8')) || undefined
      } catch {
        return undefined
      }
    })
    assert.ok(isAlive(child))
    await ask(tree.relay('root'), `${API}/runs/${runId}/cancel`, { method: 'POST' })
    assert.equal(await outcome(tree, runId, 'node-1'), 'cancelled')
    await eventually('the end of the child', () => !isAlive(child))
  })

  await t.test('a caller that goes away takes a synchronous run along', async () => {
    const before = starts(agent)
    const leaving = new AbortController()
    const asked = run(tree, 'node-1', { conditions: 'hang' }, leaving.signal)
    await eventually('the command', () => starts(agent) > before)
    const pid = pids(agent).at(-1) ?? 0
    leaving.abort()
    await assert.rejects(asked)
    await eventually('the end of the command', () => !isAlive(pid))
  })

  await t.test('runs wait for one another', async () => {
    const before = starts(agent)
    const first = await startAsync(tree, 'node-1', 'wait')
    await eventually('the first', () => starts(agent) === before + 1)
    const second = await startAsync(tree, 'node-1', 'later')
    await untilOutcome(tree, first, 'node-1', 'running')
    await eventually('the second, at the agent', () => existsSync(join(agent.directory, `state/runs/${second}.ndjson`)))
    assert.equal(await outcome(tree, second, 'node-1'), 'queued')
    writeFileSync(`${agent.command}.go`, '')
    await untilOutcome(tree, first, 'node-1', 'done')
    await untilOutcome(tree, second, 'node-1', 'done')
    assert.equal(starts(agent), before + 2)
    const journal = readFileSync(`${agent.command}.started`, 'utf8').trim().split('\n')
    assert.deepEqual(
      journal.slice(-4).map(line => line === 'end'),
      [false, true, false, true],
      'one after the other'
    )
  })
})

test('an agent that is to refuse says that it is busy', async t => {
  const tree = await startRoot(t)
  const agent = await startAgent(t, tree, 'node-1', { agent: ['when_busy = "refuse"'] })
  const first = await startAsync(tree, 'node-1', 'wait')
  await eventually('the first', () => starts(agent) === 1)
  const refused = await run(tree, 'node-1')
  assert.match(refused.text, /error: node-1: refused: .*busy/)
  writeFileSync(`${agent.command}.go`, '')
  await untilOutcome(tree, first, 'node-1', 'done')
  await eventually('the end', async () => (await showRun(tree, 'root', first)).state === 'done')
  assert.match((await run(tree, 'node-1')).text, /^node run/m)
})

test('an agent that is killed in the middle of a run says so once it is back', async t => {
  const tree = await startRoot(t)
  const agent = await startAgent(t, tree, 'node-1')
  const runId = await startAsync(tree, 'node-1', 'hang')
  await eventually('the command', () => starts(agent) === 1)
  const pid = pids(agent)[0] ?? 0
  agent.signal('SIGKILL')
  await agent.ended
  await eventually('the end of its command', () => !isAlive(pid))
  const again = await agent.restart()
  await untilOutcome(tree, runId, 'node-1', 'interrupted')
  assert.equal(starts(again), 1)
})

test('a relay that is killed in the middle of a run learns from its agents how it ended', async t => {
  const tree = await startRoot(t)
  const [one, two] = [await startAgent(t, tree, 'node-1'), await startAgent(t, tree, 'node-2')]
  const answer = await run(tree, 'node-1,node-2,node-3', {
    asynchronous: 'true',
    keep_output: 'false',
    conditions: 'wait'
  })
  const runId = String(answer.headers['treeline-run-id'])
  await eventually('the commands', () => starts(one) + starts(two) === 2)
  const logFile = `${tree.relay('root').storagePath}/runs/${runId}.ndjson`
  await eventually('the third, on disk', () => /"node-3"[^\n]*"done"/.test(readFileSync(logFile, 'utf8')))
  const relay = tree.processes.get('root')
  relay?.signal('SIGKILL')
  await relay?.ended
  writeFileSync(`${one.command}.go`, '')
  await tree.restart('root')
  await untilOutcome(tree, runId, 'node-1', 'done')
  assert.equal((await showRun(tree, 'root', runId)).state, 'running')
  writeFileSync(`${two.command}.go`, '')
  await untilOutcome(tree, runId, 'node-2', 'done')
  const record = await eventually('the end of the run', async () => {
    const shown = await showRun(tree, 'root', runId)
    return shown.state !== 'running' && shown
  })
  assert.equal(record.state, 'done')
  const events = await eventsOf(tree, runId)
  const seqs = events.map(({ seq }) => seq)
  assert.ok(
    seqs.every((seq, index) => index === 0 || seq > (seqs[index - 1] ?? 0)),
    String(seqs)
  )
  assert.deepEqual(
    events.filter(({ event }) => event === 'start' || event === 'end').map(({ event }) => event),
    ['start', 'end']
  )
  assert.equal(starts(one) + starts(two), 2)
})

test('output that the relay had before it was killed is not told twice', async t => {
  const tree = await startRoot(t)
  const agent = await startAgent(t, tree, 'node-1')
  const answer = run(tree, 'node-1', { asynchronous: 'true', conditions: 'wait' }).catch(() => undefined)
  await eventually('the command', () => starts(agent) === 1)
  const runs = await ask(tree.relay('root'), `${API}/runs`)
  const runId = (JSON.parse(runs.text) as { runs: { id: string }[] }).runs[0]?.id ?? ''
  const logFile = `${tree.relay('root').storagePath}/runs/${runId}.ndjson`
  await eventually('output', () => readFileSync(logFile, 'utf8').includes('careful'))
  const relay = tree.processes.get('root')
  relay?.signal('SIGKILL')
  await relay?.ended
  await answer
  await tree.restart('root')
  writeFileSync(`${agent.command}.go`, '')
  await untilOutcome(tree, runId, 'node-1', 'done')
  await eventually('the end', async () => (await showRun(tree, 'root', runId)).state === 'done')
  const said = (await eventsOf(tree, runId)).filter(({ event }) => event === 'output').map(({ data }) => data)
  assert.deepEqual(said.join('').split('\n').sort(), ['', 'careful', 'node run: agent run -D wait', 'waited'])
})
