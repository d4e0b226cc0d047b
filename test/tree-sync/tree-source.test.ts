import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { TREELINE } from '../../src/hops/dialect.js'
import type { TreeNode } from '../../src/tree/topology.js'
import { MAX_ANSWERS } from '../../src/tree-sync/answer-slots.js'
import { MAX_LOGGED_NODES } from '../../src/tree-sync/change-log.js'
import { TreeDigest } from '../../src/tree-sync/tree-digest.js'
import { MIN_CERTIFICATE_LENGTH, parseHeader, parseLine, type TreeHeader } from '../../src/tree-sync/tree-lines.js'
import { NOTICE_PATH } from '../../src/tree-sync/tree-notices.js'
import {
  createTreeSource,
  MAX_DIFFERENCE_NODES,
  type TreeAnswer,
  type TreeSource
} from '../../src/tree-sync/tree-source.js'
import { TreeVersions } from '../../src/tree-sync/tree-versions.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { eventually } from '../support/eventually.js'
import { type Certificates, MemoryTree } from '../support/parts/memory-tree.js'
import { arbitraryTree, listOf, toTreeNode } from '../support/parts/trees.js'

interface Part {
  readonly header: TreeHeader
  /** By id, as text. */
  readonly put: ReadonlyMap<string, string>
  readonly removed: readonly string[]
}

async function read(answer: TreeAnswer): Promise<Part> {
  assert.ok(answer.kind !== 'same')
  const chunks: Buffer[] = []
  for await (const chunk of answer.body) chunks.push(chunk)
  const [first = '', ...rest] = Buffer.concat(chunks).toString('utf8').trimEnd().split('\n')
  const header = parseHeader(first)
  assert.equal(header.version, answer.version)
  assert.equal(header.base === undefined ? 'whole' : 'difference', answer.kind)
  const put = new Map<string, string>()
  const removed: string[] = []
  for (const text of rest.slice(0, -1)) {
    const line = parseLine(text)
    if (line.kind === 'put') put.set(line.entry.id, text)
    else if (line.kind === 'removed') removed.push(line.id)
  }
  assert.equal(parseLine(rest.at(-1) ?? '').kind, 'end')
  return { header, put, removed }
}

function makeSource(tree: MemoryTree, told: string[] = []): TreeSource {
  return createTreeSource({
    tree,
    versions: new TreeVersions(tree),
    neighbours: {
      down: id => ({
        id,
        dialect: TREELINE,
        request: async ({ path }) => {
          assert.equal(path, NOTICE_PATH)
          told.push(id)
          return { kind: 'unreachable', reason: 'a test', sent: false }
        }
      })
    },
    logger: silentLogger
  })
}

interface State {
  readonly nodes: readonly TreeNode[]
  readonly certificates: Certificates
}

/** A tree in several states: nodes come, go and move, change their names and certificates. */
const arbitraryStates: fc.Arbitrary<State[]> = fc.array(
  fc.tuple(arbitraryTree(25), fc.array(fc.nat(2), { maxLength: 26 }), fc.array(fc.nat(2), { maxLength: 26 })).map(
    ([nodes, names, counts]): State => ({
      nodes: nodes.map((node, index) => ({ ...node, hostname: `${node.id}.h${names[index] ?? 0}` })),
      certificates: new Map(
        nodes.map(({ id }, index) => [
          id,
          Array.from({ length: counts[index] ?? 0 }, (_, count) =>
            Buffer.from(`${id} ${count}`.padEnd(MIN_CERTIFICATE_LENGTH))
          )
        ])
      )
    })
  ),
  { minLength: 2, maxLength: 5 }
)

test('a difference applied is the whole, and names no node that never was in the part', async () => {
  let differences = 0
  await fc.assert(
    fc.asyncProperty(arbitraryStates, fc.nat(), async (states, pick) => {
      const [first] = states
      const relay = first?.nodes[pick % first.nodes.length]?.id ?? 'root'
      const tree = new MemoryTree()
      const source = makeSource(tree)
      /** What the relay has, by version, and every id that it may have heard of. */
      const had = new Map<string, ReadonlyMap<string, string>>()
      const seen = new Set<string>()
      for (const { nodes, certificates } of states) {
        tree.put(nodes, certificates)
        if (!nodes.some(({ id }) => id === relay)) {
          await assert.rejects(source.part(relay, { isItself: true }), { code: 'UNKNOWN_NODE' })
          had.clear() // what was known of a node goes with it
          continue
        }
        const part = new Set([relay, ...listOf(nodes, relay, true).map(({ id }) => id)])
        for (const id of part) seen.add(id)
        const whole = await read(await source.part(relay, { isItself: true }))
        assert.deepEqual(new Set(whole.put.keys()), part)
        assert.deepEqual(whole.removed, [])
        for (const [version, entries] of had) {
          const answer = await source.part(relay, { since: version, has: [], isItself: true })
          const { header, put, removed } = await read(answer)
          assert.equal(header.version, whole.header.version)
          if (header.base === undefined) continue
          differences += 1
          assert.equal(header.base, version)
          const applied = new Map([...entries].filter(([id]) => !removed.includes(id)))
          for (const [id, text] of put) applied.set(id, text)
          assert.deepEqual(new Map([...applied].sort()), new Map([...whole.put].sort()))
          for (const id of [...put.keys(), ...removed]) assert.ok(seen.has(id), `${id} was never in the part`)
        }
        had.set(whole.header.version, whole.put)
      }
    }),
    { numRuns: 300 }
  )
  assert.ok(differences > 20, `${differences} differences`)
})

test('a version does not depend on the order, and is what the receiver computes from the lines', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryStates, fc.func(fc.nat()), async ([state], order) => {
      if (state === undefined) return
      const tree = new MemoryTree()
      const source = makeSource(tree)
      tree.put(state.nodes, state.certificates)
      const one = await source.part('root', { isItself: false })
      const shuffled = [...state.nodes].sort((a, b) => order(a.id) - order(b.id))
      tree.put(shuffled, state.certificates)
      const other = await source.part('root', { isItself: false, has: [one.version] })
      assert.deepEqual(other, { kind: 'same', version: one.version })
      const digest = new TreeDigest()
      for (const node of shuffled) digest.addNode(node)
      for (const [position, fingerprint] of tree.fingerprints()) {
        digest.addCertificate(tree.current().idAt(position), fingerprint)
      }
      assert.equal(digest.toString(), one.version)
    })
  )
})

const node = (id: string, policyServer: string) => toTreeNode({ id, policyServer })
const BASE = [node('root', 'root'), node('a', 'root'), node('b', 'root'), node('sub', 'a'), node('n1', 'sub')]

test('a relay that moves takes its nodes along, and where a policy server went, so did those below', async () => {
  const tree = new MemoryTree()
  const source = makeSource(tree)
  tree.put(BASE)
  const [a, b] = await Promise.all(['a', 'b'].map(relay => source.part(relay, { isItself: true })))
  tree.put(BASE.map(each => (each.id === 'sub' ? node('sub', 'b') : each)))
  const toA = await read(await source.part('a', { since: a?.version, isItself: true }))
  assert.deepEqual([[...toA.put.keys()], toA.removed.toSorted()], [[], ['n1', 'sub']])
  const toB = await read(await source.part('b', { since: b?.version, isItself: true }))
  assert.deepEqual([toB.header.base, [...toB.put.keys()].sort()], [b?.version, ['n1', 'sub']])
  tree.put(BASE)
  const back = await source.part('a', { has: [a?.version ?? ''], isItself: true })
  assert.equal(back.kind, 'same')
  tree.put(BASE.filter(({ id }) => id !== 'sub'))
  const without = await read(await source.part('a', { since: a?.version, isItself: true }))
  assert.deepEqual(without.removed.toSorted(), ['n1', 'sub'])
})

test('what was forgotten, never given, or is too much is answered with the whole', async () => {
  const tree = new MemoryTree()
  const source = makeSource(tree)
  const many = (count: number, name: string) =>
    Array.from({ length: count }, (_, index) => toTreeNode({ id: `m${index}`, policyServer: 'a', hostname: name }))
  tree.put([...BASE, ...many(MAX_DIFFERENCE_NODES + 10, 'one')])
  const { version } = await source.part('a', { isItself: true })
  for (const since of ['0'.repeat(64), 'nonsense', '']) {
    assert.equal((await source.part('a', { since, isItself: true })).kind, 'whole')
  }
  assert.equal((await source.part('b', { since: version, isItself: true })).kind, 'whole', "another's version")
  tree.put([...BASE, ...many(MAX_DIFFERENCE_NODES + 10, 'two')])
  assert.equal((await source.part('a', { since: version, isItself: true })).kind, 'whole', 'too many')
  const second = (await source.part('a', { isItself: true })).version
  tree.put([...BASE, ...many(MAX_LOGGED_NODES + 10, 'three')])
  await source.part('b', { isItself: true })
  tree.put([...BASE, ...many(MAX_DIFFERENCE_NODES + 10, 'two'), node('new', 'a')])
  assert.equal((await source.part('a', { since: second, isItself: true })).kind, 'whole', 'forgotten')
})

test('what a change touches is told, once, and nobody else', async t => {
  const tree = new MemoryTree()
  const told: string[] = []
  const source = makeSource(tree, told)
  t.after(() => source.stop())
  tree.put(BASE)
  for (const relay of ['a', 'b', 'sub']) await read(await source.part(relay, { isItself: true }))
  tree.put([...BASE, node('n2', 'sub')])
  await eventually('a being told', () => told.length > 0)
  tree.put([...BASE, node('n2', 'sub'), node('n3', 'b')])
  await eventually('b being told', () => told.length > 1)
  tree.put([...BASE, node('n2', 'sub'), node('n3', 'b')].reverse())
  tree.put([...BASE, node('n2', 'sub'), node('n3', 'b'), node('n4', 'a')])
  await eventually('a being told again', () => told.length > 2)
  await source.stop()
  assert.deepEqual(told, ['a', 'b', 'a'])
})

test('a tree that changes while it is sent breaks off, instead of being mixed', async () => {
  const tree = new MemoryTree()
  const source = makeSource(tree)
  const many = Array.from({ length: 5_000 }, (_, index) => node(`m${index}`, 'a'))
  tree.put([...BASE, ...many])
  const answer = await source.part('a', { isItself: true })
  assert.ok(answer.kind !== 'same')
  await assert.rejects(async () => {
    for await (const chunk of answer.body) {
      assert.ok(chunk.length < 200_000)
      tree.put(BASE)
    }
  }, /has changed/)
})

test('who was cut off by a change elsewhere is told, since its own part is as before', async t => {
  const tree = new MemoryTree()
  const told: string[] = []
  const source = makeSource(tree, told)
  t.after(() => source.stop())
  const many = Array.from({ length: 5_000 }, (_, index) => node(`m${index}`, 'a'))
  tree.put([...BASE, ...many])
  const answer = await source.part('a', { isItself: true })
  assert.ok(answer.kind !== 'same')
  let isChanged = false
  await assert.rejects(async () => {
    for await (const _ of answer.body) {
      if (!isChanged) tree.put([...BASE, ...many, node('n3', 'b')])
      isChanged = true
    }
  }, /has changed/)
  await eventually('a being told', () => told.length > 0)
  assert.deepEqual(told, ['a'])
})

/** A tree with so many nodes below each of some relays that none of their parts is one piece. */
function treeOfRelays(relays: readonly string[], nodesOfEach: number): TreeNode[] {
  return relays.flatMap(relay => [
    node(relay, 'root'),
    ...Array.from({ length: nodesOfEach }, (_, index) => node(`${relay}-${index}`, relay))
  ])
}

/** Reads the first piece of an answer, and no more. */
async function begin(answer: TreeAnswer): Promise<Readable> {
  assert.ok(answer.kind !== 'same')
  await once(answer.body, 'readable')
  return answer.body
}

test('a relay has one place: what it leaves unread keeps nobody from a tree, and its next request ends the former', async () => {
  const tree = new MemoryTree()
  const source = makeSource(tree)
  tree.put([node('root', 'root'), ...treeOfRelays(['a', 'b'], 3_000)])
  let former: Readable | undefined
  for (let count = 0; count <= MAX_ANSWERS; count++) {
    const body = await begin(await source.part('a', { isItself: true }))
    if (former !== undefined) assert.equal(former.errored?.message, 'a has asked for its tree again')
    former = body
  }
  const { put } = await read(await source.part('b', { isItself: true }))
  assert.equal(put.size, 3_001)
  assert.equal(former?.destroyed, false)
  const again = await read(await source.part('a', { isItself: true }))
  assert.equal(again.put.size, 3_001)
})

test('what is left unread of a former tree ends at once, and its relay is told', async t => {
  const tree = new MemoryTree()
  const told: string[] = []
  const source = makeSource(tree, told)
  t.after(() => source.stop())
  const nodes = [node('root', 'root'), ...treeOfRelays(['a', 'b'], 3_000)]
  tree.put(nodes)
  const body = await begin(await source.part('a', { isItself: true }))
  tree.put([...nodes, node('n3', 'b')])
  assert.equal(body.errored?.message, 'the tree has changed while it was sent')
  await eventually('a being told', () => told.length > 0)
  assert.deepEqual(told, ['a'])
})
