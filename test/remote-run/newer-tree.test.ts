import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CallerKind } from '../../src/network/caller.js'
import { makeRunId } from '../../src/values/runs/run-id.js'
import { allEvents, orderOf, outcomesOf, startRuns, topologyOf } from '../support/parts/remote-runs.js'

const OLD = topologyOf('self', { self: 'root', root: 'root', a: 'self' })
const NEW = topologyOf('self', { self: 'root', root: 'root', a: 'self', b: 'self' })

test('a node that the policy server asks for before it is known here is looked for there, once', async t => {
  let topology = OLD
  let asked = 0
  const { runs } = await startRuns(t, {
    topology: () => topology,
    refreshTree: async () => {
      asked += 1
      topology = NEW
    }
  })
  const run = async (kind: CallerKind, ...nodes: readonly string[]) => {
    const { origin } = orderOf()
    const caller = { ...origin.caller, kind }
    const started = await runs.start(orderOf({ nodes, runId: makeRunId(Date.now()), origin: { ...origin, caller } }))
    return outcomesOf(await allEvents(started))
  }
  assert.deepEqual(await run('local', 'a', 'b'), { a: 'done 0', b: 'refused' })
  assert.deepEqual(await run('policy-server', 'a', 'self'), { a: 'done 0', self: 'refused' })
  assert.equal(asked, 0)
  assert.deepEqual(await run('policy-server', 'a', 'b'), { a: 'done 0', b: 'done 0' })
  assert.deepEqual(await run('policy-server', 'b', 'nobody'), { b: 'done 0', nobody: 'refused' })
  assert.equal(asked, 2)
})
