import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ActiveRun } from '../../src/remote-run/active-run.js'
import { RunLeases } from '../../src/remote-run/run-leases.js'
import { Claims } from '../../src/storage/sqlite/claims.js'
import { createRunRepository } from '../../src/storage/sqlite/sqlite-runs.js'
import { silentLogger } from '../../src/values/logger.js'
import { LEASE_MS } from '../../src/values/time/lease.js'
import { allEvents, orderOf, startRuns, temporaryFolder, topologyOf, waitForEvent } from '../support/remote-runs.js'

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
    leases: new RunLeases(createRunRepository(db, claims), () => [run], silentLogger),
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
