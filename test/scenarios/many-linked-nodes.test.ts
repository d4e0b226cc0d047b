import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import test from 'node:test'
import { NDJSON } from '../../src/network/header-names.js'
import { eventually } from '../support/eventually.js'
import { orderOf, startRuns, topologyOf } from '../support/parts/remote-runs.js'
import { answered, done, hopOf } from '../support/parts/run-hops.js'

const MANY = 5_000

function manyNodes() {
  const ids = Array.from({ length: MANY }, (_, index) => `n${index}`)
  return topologyOf('self', Object.fromEntries(ids.map(id => [id, 'self'])))
}

test('of thousands of linked nodes, 2,000 are asked at once, and all in the end', async t => {
  let open = 0
  let most = 0
  const linked = (id: string) =>
    hopOf(id, async () => {
      open += 1
      most = Math.max(most, open)
      await new Promise(resolve => setImmediate(resolve))
      open -= 1
      return done(id)
    })
  const { runs } = await startRuns(t, { topology: manyNodes(), linked })
  const run = await runs.start(orderOf({ keepOutput: false }))
  await run.ended
  assert.deepEqual((await runs.record(run.id))?.counts, { done: MANY })
  assert.ok(most <= 2_000, `${most} at once`)
})

test('cancelled, those that were asked are told, and those that were not have that outcome too', async t => {
  let asked = 0
  let told = 0
  const linked = (id: string) =>
    hopOf(id, request => {
      if (request.path.endsWith('/cancel')) {
        told += 1
        return answered('application/json', Readable.from([]))
      }
      asked += 1
      return answered(NDJSON, new PassThrough())
    })
  const { runs } = await startRuns(t, { topology: manyNodes(), linked })
  const run = await runs.start(orderOf())
  await eventually('the most that are asked at once', () => asked === 2_000)
  await run.cancel('no longer wanted')
  assert.deepEqual((await runs.record(run.id))?.counts, { cancelled: MANY })
  assert.deepEqual([asked, told], [2_000, 2_000])
})
