import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planRun } from '../../src/remote-run/progress/plan.js'
import { countTurns } from '../support/count-turns.js'
import { topologyOf } from '../support/parts/remote-runs.js'

const NODES = 4_000
const RUNS = 20

test('runs of the whole tree that begin in the same moment share the time of a turn', async t => {
  const tree = Object.fromEntries(Array.from({ length: NODES }, (_, index) => [`n${index}`, 'root']))
  const topology = topologyOf('root', { root: 'root', ...tree })
  const counter = countTurns(t)
  let turn = counter.turn
  let nodesOfTurn = 0
  let mostOfTurn = 0
  const find = topology.find.bind(topology)
  topology.find = id => {
    if (turn !== counter.turn) nodesOfTurn = 0
    turn = counter.turn
    nodesOfTurn += 1
    mostOfTurn = Math.max(mostOfTurn, nodesOfTurn)
    for (const untilMs = performance.now() + 0.002; performance.now() < untilMs; ); // as on a slow machine
    return find(id)
  }
  const plans = await Promise.all(Array.from({ length: RUNS }, () => planRun(topology, { nodes: 'all' })))
  assert.ok(plans.every(({ here }) => here.length === NODES + 1))
  assert.ok(mostOfTurn < 10_000, `${mostOfTurn} nodes in one turn`)
})
