import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { makeAgentCertificate } from '../../demo/pki.js'
import { startAgent } from '../../src/agent/agent.js'
import { parseAgentConfig } from '../../src/config/agent/agent-parser.js'
import type { Hop, HopOutcome } from '../../src/hops/hop.js'
import { createLinkedNeighbours } from '../../src/links/upper/linked-neighbours.js'
import { NDJSON, RUN_ID_HEADER } from '../../src/network/header-names.js'
import { PURGE_EVERY_MS } from '../../src/remote-run/run-types.js'
import { openDatabase } from '../../src/storage/sqlite-engine/database.js'
import { parseRunEvent, type RunEvent } from '../../src/values/runs/run-event.js'
import { makeRunId } from '../../src/values/runs/run-id.js'
import { eventually } from '../support/eventually.js'
import { holdTimers } from '../support/held-timers.js'
import { startUpperSide } from '../support/parts/links.js'

const logger = pino({ level: process.env.TEST_LOG ?? 'silent' })
const COMMAND = `#!/bin/sh
echo started >> "$0.started"
echo "run: $*"
while [ -e "$0.hold" ]; do sleep 0.05; done
`

interface Lower {
  readonly hop: () => Hop
  /** How often the command was started. */
  readonly starts: () => number
  readonly command: string
  /** Starts the agent, on the same files; its former self has to be stopped. */
  readonly start: () => Promise<() => Promise<void>>
}

async function makeAgent(t: TestContext, lines = ''): Promise<Lower> {
  const folder = mkdtempSync(join(tmpdir(), 'treeline-agent-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const own = await makeAgentCertificate({ nodeId: 'node-1', hostname: 'node-1.example.test', kind: 'rsa' })
  const upper = await startUpperSide(t, new Map([[own.certificateDer.toString('base64'), 'node-1']]))
  const file = (name: string, text: string, mode = 0o600) => {
    const path = join(folder, name)
    writeFileSync(path, text, { mode })
    return path
  }
  mkdirSync(join(folder, 'state')) // as the command does, which takes its lock
  const command = file('command', COMMAND, 0o755)
  const config = parseAgentConfig(
    `node_id = "node-1"
certificate_file = "${file('own.cert', own.certificatePem)}"
key_file = "${file('own.key', own.privateKeyPem)}"
[upstream]
host = "${new URL(upper.url).host}"
server_certificate_file = "${file('upper.cert', upper.certificate.certificatePem)}"
[storage]
path = "state"
[agent]
command = "${command}"
${lines}`,
    '',
    folder
  )
  const linked = createLinkedNeighbours(upper.registry, () => 10_000)
  return {
    command,
    hop: () => {
      const hop = linked.find('node-1')
      assert.ok(hop)
      return hop
    },
    starts: () =>
      existsSync(`${command}.started`) ? readFileSync(`${command}.started`, 'utf8').split('\n').length - 1 : 0,
    start: async () => {
      const agent = await startAgent({ config, configureLogLevel: () => undefined, logger })
      t.after(() => agent.stop())
      await eventually('its link', () => linked.find('node-1') !== undefined)
      return async () => {
        await agent.stop()
        await eventually('the end of its link', () => linked.find('node-1') === undefined)
      }
    }
  }
}

function order(hop: Hop, runId: string, form = 'keep_output=true'): Promise<HopOutcome> {
  return hop.request({
    method: 'POST',
    path: 'remote-run/nodes/node-1',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: NDJSON, [RUN_ID_HEADER]: runId },
    body: () => Buffer.from(form)
  })
}

async function textOf(outcome: HopOutcome): Promise<string> {
  assert.notEqual(outcome.kind, 'unreachable', JSON.stringify(outcome))
  let text = ''
  if (outcome.kind !== 'unreachable') for await (const chunk of outcome.body) text += String(chunk)
  return text
}

async function eventsOf(outcome: HopOutcome): Promise<RunEvent[]> {
  return (await textOf(outcome))
    .trim()
    .split('\n')
    .flatMap(line => parseRunEvent(line) ?? [])
}

test('an order that comes twice is carried out once, also after a restart; each gets the whole story', async t => {
  const agent = await makeAgent(t)
  const stop = await agent.start()
  const runId = makeRunId(Date.now())
  const [first, second] = await Promise.all([1, 2].map(async () => eventsOf(await order(agent.hop(), runId))))
  assert.deepEqual(second, first)
  assert.deepEqual(
    first?.flatMap(({ event, outcome }) => (outcome === undefined ? [event] : [`${event} ${outcome}`])),
    ['start', 'node running', 'output', 'node done', 'end done']
  )
  await stop()
  await agent.start()
  assert.deepEqual(await eventsOf(await order(agent.hop(), runId)), first)
  assert.equal(agent.starts(), 1)
})

test('a duplicate of an order that is under way is not refused for being one too many', async t => {
  const agent = await makeAgent(t, 'when_busy = "refuse"')
  await agent.start()
  writeFileSync(`${agent.command}.hold`, '')
  const runId = makeRunId(Date.now())
  const first = await order(agent.hop(), runId, 'keep_output=true&asynchronous=true')
  await eventually('the command', () => agent.starts() === 1)
  const refused = await order(agent.hop(), makeRunId(Date.now()))
  assert.equal(refused.kind === 'refused' && refused.status, 409)
  assert.match(await textOf(refused), /node-1 is busy with another run/)
  const second = await order(agent.hop(), runId, 'keep_output=true&asynchronous=true')
  rmSync(`${agent.command}.hold`)
  assert.deepEqual(await eventsOf(second), await eventsOf(first))
  assert.equal(agent.starts(), 1)
})

test('an order that comes as soon as the end of the one before was told is not refused', async t => {
  const agent = await makeAgent(t, 'when_busy = "refuse"')
  await agent.start()
  for (let count = 1; count <= 20; count += 1) {
    const outcome = await order(agent.hop(), makeRunId(Date.now()))
    assert.equal(outcome.kind, 'answered', `order ${count}`)
    await eventsOf(outcome)
    assert.equal(agent.starts(), count)
  }
})

test('old records go soon after each start: a machine may be on for some minutes a day', async t => {
  const { command, start } = await makeAgent(t)
  const timers = holdTimers(t, ms => ms === PURGE_EVERY_MS)
  const log = join(dirname(command), 'state', 'runs', `${makeRunId()}.ndjson`)
  for (let starts = 1; starts <= 2; starts += 1) {
    mkdirSync(dirname(log), { recursive: true })
    writeFileSync(log, '')
    utimesSync(log, 0, 0)
    const stop = await start()
    timers.fire()
    await eventually('the end of an old log', () => !existsSync(log))
    await stop()
    assert.equal(timers.count, 0)
  }
})

test('with use_sudo the one command is started by sudo, which asks for no password', async t => {
  const agent = await makeAgent(t, 'use_sudo = true')
  const folder = join(dirname(agent.command), 'bin')
  mkdirSync(folder)
  // stands in for sudo: says how it was called, and is it
  writeFileSync(join(folder, 'sudo'), '#!/bin/sh\necho "sudo $1"; shift; exec "$@"\n', { mode: 0o755 })
  const { PATH } = process.env
  process.env.PATH = `${folder}:${PATH}`
  t.after(() => {
    process.env.PATH = PATH
  })
  await agent.start()
  const events = await eventsOf(await order(agent.hop(), makeRunId(Date.now())))
  assert.equal(
    events
      .map(({ data = '' }) => data)
      .join('')
      .trim(),
    'sudo -n\nrun: agent run'
  )
})

test('an order for another node is unknown, and nothing starts', async t => {
  const agent = await makeAgent(t)
  await agent.start()
  const outcome = await agent.hop().request({
    method: 'POST',
    path: 'remote-run/nodes/node-2',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: () => Buffer.from('keep_output=true')
  })
  assert.equal(outcome.kind === 'refused' && outcome.status, 404)
  await textOf(outcome)
  assert.equal(agent.starts(), 0)
})

test('an agent whose database is damaged while it runs says what to do about an agent', async t => {
  const agent = await makeAgent(t)
  await agent.start()
  await eventsOf(await order(agent.hop(), makeRunId(Date.now())))
  const database = join(dirname(agent.command), 'state', 'state.db')
  const other = openDatabase(database, 'state')
  other.exec('VACUUM') // the agent reads all pages anew
  other.close()
  for (const file of [database, `${database}-wal`]) {
    const { length } = readFileSync(file)
    writeFileSync(file, Buffer.alloc(length, 'damaged '), { flag: 'r+' }) // in the file that the agent has open
  }
  const answer = await order(agent.hop(), makeRunId(Date.now() + 1))
  assert.equal(answer.kind, 'unreachable')
  const { reason } = answer
  assert.match(
    reason,
    /answered 503: state\.db in storage\.path \(\S+\) is damaged; stop the agent, .* start the agent again: /
  )
  assert.doesNotMatch(reason, /relay|root/)
})

test('a stopping agent lets its run end, and tells how', async t => {
  const agent = await makeAgent(t)
  const stop = await agent.start()
  writeFileSync(`${agent.command}.hold`, '')
  const answer = await order(agent.hop(), makeRunId(Date.now()))
  await eventually('the command', () => agent.starts() === 1)
  const stopped = stop()
  const late = await order(agent.hop(), makeRunId(Date.now()))
  assert.equal(late.kind === 'unreachable' && late.status, 503)
  rmSync(`${agent.command}.hold`)
  const events = await eventsOf(answer)
  assert.equal(events.at(-1)?.outcome, 'done')
  await stopped
})
