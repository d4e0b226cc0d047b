import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ActiveRun } from '../../src/remote-run/active-run.js'
import { RunLeases } from '../../src/remote-run/lifecycle/run-leases.js'
import { Claims } from '../../src/storage/sqlite/claims.js'
import { createRunRepository } from '../../src/storage/sqlite/sqlite-runs.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { makeRunId } from '../../src/values/runs/run-id.js'
import { LEASE_MS } from '../../src/values/time/lease.js'
import { eventually } from '../support/eventually.js'
import {
  allEvents,
  orderOf,
  startRuns,
  temporaryFolder,
  topologyOf,
  waitForEvent
} from '../support/parts/remote-runs.js'

const TOPOLOGY = topologyOf('self', { n1: 'self' })

/** A run whose only command ends once `finish` is called, and the claims of its process and of one beside it. */
async function startLongRun(t: TestContext) {
  let nowMs = 0
  const folder = temporaryFolder(t)
  const claims = new Claims(() => nowMs)
  const command = `#!/bin/sh\nwhile [ ! -e ${folder}/go ]; do sleep 0.02; done\n`
  const { runs, db } = await startRuns(t, { topology: TOPOLOGY, folder, command, claims })
  const run = await runs.start(orderOf())
  assert.ok(run instanceof ActiveRun)
  await waitForEvent(run, ({ outcome }) => outcome === 'running')
  await run.table.flush()
  const other = createRunRepository(db, claims.beside())
  return {
    run,
    other,
    leases: new RunLeases(
      createRunRepository(db, claims),
      { active: () => [run], unrecorded: () => [] },
      new Map(),
      silentLogger,
      LEASE_MS
    ),
    /** Lets this process stand still for so long. */
    stand: (ms: number) => {
      nowMs += ms
    },
    finish: () => writeFileSync(join(folder, 'go'), ''),
    log: () => readFileSync(join(folder, 'runs', `${run.id}.ndjson`), 'utf8')
  }
}

test('a run that another process has taken over is left to it: nothing of its end is recorded', async t => {
  const { run, other, stand, finish, log } = await startLongRun(t)
  const followed = assert.rejects(allEvents(run), {
    code: 'STOPPING',
    message: /another process .* has taken the run over/
  })
  stand(LEASE_MS)
  assert.deepEqual(await other.claimAbandoned(LEASE_MS), [run.id])
  finish()
  await run.ended
  await followed
  assert.equal((await other.find(run.id))?.state, 'running')
  assert.equal((await other.nodes(run.id, 1))[0]?.outcome, 'running')
  assert.ok(!log().includes('"event":"end"'))
  assert.equal(run.state, 'running')
})

test('leases are renewed while a run is under way, and a run found lost is stopped', async t => {
  const { run, other, leases, stand } = await startLongRun(t)
  for (let times = 0; times < 3; times += 1) {
    stand(LEASE_MS - 1)
    await leases.renew()
    assert.deepEqual(await other.claimAbandoned(LEASE_MS), [])
  }
  assert.equal(run.state, 'running')
  stand(LEASE_MS)
  assert.deepEqual(await other.claimAbandoned(LEASE_MS), [run.id])
  await leases.renew()
  await run.ended // its command would never end by itself
  assert.equal((await other.find(run.id))?.state, 'running')
})

/** Claims that note what is renewed. */
class NotedClaims extends Claims {
  readonly renewed = new Set<string>()

  override renew(id: string, leaseMs: number): boolean {
    this.renewed.add(id)
    return super.renew(id, leaseMs)
  }

  /** Resolves once `id` is renewed after this call. */
  next(id: string): Promise<boolean> {
    this.renewed.delete(id)
    return eventually(`claim on ${id} is renewed`, () => this.renewed.has(id))
  }
}

const TIMING = { renewalMs: 5, recordAgainMs: 10 }

test('the claim on a run is renewed while it begins, and until its end is recorded', async t => {
  const claims = new NotedClaims()
  const runId = makeRunId(Date.now())
  let beginning: Promise<boolean> | undefined
  const { runs, db } = await startRuns(t, {
    topology: TOPOLOGY,
    claims,
    timing: TIMING,
    refreshTree: async () => {
      beginning = claims.next(runId)
      await beginning
    }
  })
  const { origin } = orderOf()
  const caller = { ...origin.caller, kind: 'policy-server' } as const
  const run = await runs.start(orderOf({ runId, nodes: ['n1', 'new'], origin: { ...origin, caller } }))
  assert.equal(await beginning, true)
  db.pragma('query_only = ON')
  await run.ended
  await claims.next(runId)
  db.pragma('query_only = OFF')
})

test('the claim on a run that waits for the tree to be taken up is renewed', async t => {
  const config = { fallbackCommand: false }
  const options = { topology: TOPOLOGY, timing: TIMING, config, shouldHoldLink: () => true }
  const former = await startRuns(t, options)
  const { id } = await former.runs.start(orderOf({ asynchronous: true, waitUntilMs: Date.now() + 600_000 }))
  await former.close()
  const claims = new NotedClaims()
  const renewed = claims.next(id)
  const { runs } = await startRuns(t, { ...options, folder: former.folder, claims, treeLoaded: renewed })
  assert.ok(await runs.find(id))
})
