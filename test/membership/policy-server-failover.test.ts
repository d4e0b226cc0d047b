import assert from 'node:assert/strict'
import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  keepUpstreamHost,
  PolicyServerFailover,
  type UpperAddress
} from '../../src/membership/member/policy-server-failover.js'
import type { JoinAnswer } from '../../src/membership/member-types.js'
import { type Logger, silentLogger } from '../../src/values/logging/logger.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const OLD = { host: 'old.example', port: 443, nodeId: 'old' }
const NEW = { host: 'new.example', port: 8443, nodeId: 'new' }
const { signal } = new AbortController()

function answerNaming(id: string, hostname: string, port?: number): JoinAnswer {
  return { id: 'me', kind: 'node', certificate: '', ca: '', policyServer: { id, hostname, port, certificates: '' } }
}

function start(answer: () => Promise<JoinAnswer | undefined>) {
  const warnings: unknown[] = []
  const state: { configured: UpperAddress; asked: number; nowMs: number } = { configured: OLD, asked: 0, nowMs: 0 }
  const failover = new PolicyServerFailover({
    configured: () => state.configured,
    ask: () => {
      state.asked += 1
      return answer()
    },
    adopt: async address => {
      state.configured = address
    },
    logger: { ...silentLogger, warn: details => warnings.push(details) },
    now: () => state.nowMs
  })
  return { failover, state, warnings }
}

test('refused, it asks where it belongs, tries that in turn with the old one, and adopts it once a link stands', async () => {
  const { failover, state } = start(async () => answerNaming('new', NEW.host, NEW.port))
  assert.deepEqual(failover.address, OLD)
  await failover.ended(undefined, signal)
  assert.deepEqual([failover.address, state.asked], [OLD, 0], 'lost or not reached is no reason to ask')
  assert.equal(await failover.ended('old', signal), true, 'soon')
  assert.deepEqual([failover.address, state.asked], [NEW, 1])
  assert.equal(await failover.ended('new', signal), false, 'it has not heard of it yet')
  assert.deepEqual(failover.address, OLD)
  await failover.ended('old', signal)
  assert.deepEqual([failover.address, state.asked], [NEW, 1])
  assert.deepEqual(state.configured, OLD)
  await failover.opened()
  assert.deepEqual([failover.address, state.configured], [NEW, NEW])
  await failover.ended(undefined, signal)
  assert.deepEqual(failover.address, NEW)
  await failover.ended('new', signal)
  assert.equal(state.asked, 2, 'refused by the new one, it asks at once')
})

test('taken back by the old one, it stays', async () => {
  const { failover, state } = start(async () => answerNaming('new', NEW.host, NEW.port))
  await failover.ended('old', signal)
  await failover.ended(undefined, signal)
  assert.deepEqual(failover.address, OLD)
  await failover.opened()
  await failover.ended(undefined, signal)
  assert.deepEqual([failover.address, state.configured], [OLD, OLD])
})

test('an answer that names who refused, or none, moves nothing; it is asked again after a while', async () => {
  let answer = async (): Promise<JoinAnswer | undefined> => answerNaming('old', 'another-name.example')
  const { failover, state, warnings } = start(() => answer())
  await failover.ended('old', signal)
  await failover.ended('old', signal)
  assert.deepEqual([failover.address, state.asked], [OLD, 1])
  const noAnswer = () => Promise.reject(new Error('nobody there'))
  for (const next of [async () => undefined, noAnswer, noAnswer]) {
    answer = next
    state.nowMs += 15_000
    await failover.ended('old', signal)
    assert.deepEqual(failover.address, OLD)
  }
  assert.equal(state.asked, 4)
  assert.deepEqual(warnings, [{ reason: 'nobody there' }], 'the same is told once')
  answer = async () => answerNaming('new', 'new.example')
  state.nowMs += 15_000
  await failover.ended('old', signal)
  assert.deepEqual(failover.address, { host: 'new.example', port: 443, nodeId: 'new' })
})

test('the address is kept in the file, whose mode stays; where it cannot be, the log says what to do', async t => {
  const file = join(await temporaryFolder(t), 'agent.conf')
  await writeFile(file, '[upstream]\nhost = "old.example:443" # mine\n')
  await chmod(file, 0o600)
  await keepUpstreamHost(file, 'upstream', NEW, silentLogger)
  assert.equal(await readFile(file, 'utf8'), '[upstream]\nhost = "new.example:8443" # mine\nnode_id = "new"\n')
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  await writeFile(file, 'upstream = { host = "old.example:443" }\n')
  const errors: unknown[] = []
  const logger: Logger = { ...silentLogger, error: (details, message) => errors.push([details, message]) }
  await keepUpstreamHost(file, 'upstream', NEW, logger)
  assert.match(JSON.stringify(errors), /"host":"new.example:8443","nodeId":"new".*set host and node_id in \[upstream\]/)
  assert.equal(await readFile(file, 'utf8'), 'upstream = { host = "old.example:443" }\n')
})
