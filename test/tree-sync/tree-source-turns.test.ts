import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TREELINE } from '../../src/hops/dialect.js'
import { createTreeSource } from '../../src/tree-sync/tree-source.js'
import { TreeVersions } from '../../src/tree-sync/tree-versions.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { countTurns } from '../support/count-turns.js'
import { MemoryTree } from '../support/parts/memory-tree.js'
import { toTreeNode } from '../support/parts/trees.js'

const RELAYS = Array.from({ length: 50 }, (_, index) => `relay-${index}`)

function nodes(hostname: string) {
  const relays = ['root', ...RELAYS].map(id => toTreeNode({ id, policyServer: 'root' }))
  const others = Array.from({ length: 20_000 }, (_, index) =>
    toTreeNode({ id: `n${index}`, policyServer: RELAYS[index % RELAYS.length] ?? 'root', hostname })
  )
  return [...relays, ...others]
}

test('relays that ask while a new tree is looked through get their differences in turns, and so do whole trees', async t => {
  const tree = new MemoryTree()
  const down = (id: string) => ({
    id,
    dialect: TREELINE,
    request: async () => ({ kind: 'unreachable', reason: 'a test', sent: false }) as const
  })
  const source = createTreeSource({
    tree,
    versions: new TreeVersions(tree),
    neighbours: { down },
    logger: silentLogger
  })
  t.after(() => source.stop())
  tree.put(nodes('one'))
  const had = new Map<string, string>()
  for (const relay of RELAYS) {
    const answer = await source.part(relay, { isItself: true })
    assert.ok(answer.kind !== 'same')
    answer.body.resume()
    had.set(relay, answer.version)
  }
  tree.put(nodes('two'))
  const counter = countTurns(t)
  const turns = new Set<number>()
  const answers = await Promise.all(
    RELAYS.map(async relay => {
      const answer = await source.part(relay, { since: had.get(relay), isItself: true })
      turns.add(counter.turn)
      return answer
    })
  )
  assert.ok(turns.size >= 10, `differences in ${turns.size} turns`)

  let nodesOfTurn = 0
  let mostOfTurn = 0
  let turn = counter.turn
  const countNode = tree.certificatesOf.bind(tree)
  tree.certificatesOf = id => {
    if (turn !== counter.turn) nodesOfTurn = 0
    turn = counter.turn
    nodesOfTurn += 1
    mostOfTurn = Math.max(mostOfTurn, nodesOfTurn)
    for (const untilMs = performance.now() + 0.05; performance.now() < untilMs; ); // as a look into the database takes
    return countNode(id)
  }
  await Promise.all(
    answers.map(async answer => {
      assert.ok(answer.kind === 'difference')
      let bytes = 0
      for await (const chunk of answer.body) bytes += chunk.length
      assert.ok(bytes > 400 * 20)
    })
  )
  assert.ok(mostOfTurn <= 200, `${mostOfTurn} nodes in one turn`)
})
