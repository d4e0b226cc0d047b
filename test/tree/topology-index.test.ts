import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { numberNodes } from '../../src/tree/index/numbered-nodes.js'
import { packTree } from '../../src/tree/index/packed-tree.js'
import { TopologyIndex } from '../../src/tree/index/topology-index.js'
import type { Route, TreeNode } from '../../src/tree/topology.js'
import { arbitraryTree, chainOf, listOf, type TestNode, toTreeNode } from '../support/parts/trees.js'

function indexOf(nodes: readonly TestNode[], selfId: string): TopologyIndex {
  return new TopologyIndex(packTree(numberNodes(nodes.map(toTreeNode)), selfId), selfId, 1)
}

/** The chain of a node within a list, told the slow way; ends at self, at the root, or outside of the list. */
function chainWithin(list: readonly TreeNode[], id: string): string[] {
  const chain: string[] = []
  let node = list.find(each => each.id === id)
  while (node && node.policyServer !== node.id) {
    chain.push(node.policyServer)
    const parent: string = node.policyServer
    node = list.find(each => each.id === parent)
  }
  return chain
}

/** The design's one rule, told the slow way. */
function expectedRoute(list: readonly TreeNode[], selfId: string, target: string): Route {
  const isListed = list.some(({ id }) => id === target)
  const isRoot = selfId === 'root'
  const outside: Route = isRoot ? { kind: 'unknown' } : { kind: 'up' }
  if (!isListed) return outside
  if (isRoot && target === 'root') return { kind: 'here' }
  if (target === selfId) return outside
  const path = [target, ...chainWithin(list, target)]
  const self = path.indexOf(selfId)
  if (self < 0) return outside
  const hop = path[self - 1] ?? ''
  return hop === target ? { kind: 'here' } : { kind: 'down', hop }
}

const arbitraryRelay = fc.record({ tree: arbitraryTree(), pick: fc.nat(), withItself: fc.boolean() })

test('from every relay, every node is reached by the chain of hops, never twice by one relay', () => {
  fc.assert(
    fc.property(arbitraryTree(), fc.func(fc.boolean()), (tree, withItself) => {
      const relays = new Set(tree.map(({ policyServer }) => policyServer))
      const indexes = new Map([...relays].map(id => [id, indexOf(listOf(tree, id, withItself(id)), id)] as const))
      const height = Math.max(...tree.map(({ id }) => chainOf(tree, id).length))
      for (const start of relays) {
        for (const { id: target, policyServer } of tree) {
          const visited = [start]
          let at = start
          for (
            let route = indexes.get(at)?.route(target);
            route?.kind !== 'here';
            route = indexes.get(at)?.route(target)
          ) {
            assert.ok(route?.kind === 'up' || route?.kind === 'down', `${target} is lost at ${at}`)
            at = route.kind === 'down' ? route.hop : (chainOf(tree, at)[0] ?? 'root')
            assert.ok(!visited.includes(at), `${at} is asked twice for ${target}`)
            visited.push(at)
          }
          assert.equal(at, policyServer)
          assert.ok(visited.length - 1 <= 2 * height)
        }
      }
    })
  )
})

test('agrees with a list that is searched from end to end', () => {
  fc.assert(
    fc.property(arbitraryRelay, ({ tree, pick, withItself }) => {
      const selfId = tree[pick % tree.length]?.id ?? 'root'
      const list = listOf(tree, selfId, withItself)
      const index = indexOf(list, selfId)
      assert.equal(index.size, list.length)
      const sorted = [...list].sort((a, b) => (a.id < b.id ? -1 : 1))
      assert.deepEqual(index.page(undefined, 1_000), sorted)
      assert.deepEqual(
        [...index.nodes()].sort((a, b) => (a.id < b.id ? -1 : 1)),
        sorted
      )
      for (const { id } of [...tree, { id: 'ghost' }]) {
        const route = expectedRoute(list, selfId, id)
        assert.deepEqual(index.route(id), route, id)
        assert.deepEqual(
          index.find(id),
          list.find(node => node.id === id)
        )
        assert.equal(index.isBelow(id), route.kind === 'here' || route.kind === 'down')
        assert.equal(
          index.isRelay(id),
          list.some(node => node.policyServer === id && node.id !== id)
        )
        const below = list
          .filter(node => node.id !== id && chainWithin(list, node.id).includes(id))
          .map(node => node.id)
        assert.deepEqual([...index.below(id)].sort(), below.sort())
        for (const node of list) assert.equal(index.isUnder(node.id, id), below.includes(node.id))
      }
      const here = list.filter(node => expectedRoute(list, selfId, node.id).kind === 'here').map(node => node.id)
      assert.deepEqual([...index.managed()].sort(), here.sort())
      const hops = new Set(
        list.flatMap(node => {
          const route = expectedRoute(list, selfId, node.id)
          return route.kind === 'down' ? [route.hop] : []
        })
      )
      assert.deepEqual([...index.subRelays()].sort(), [...hops].sort())
    })
  )
})

test('root is one of its own nodes, and not below itself', () => {
  const index = indexOf(
    [
      { id: 'root', policyServer: 'root' },
      { id: 'a', policyServer: 'root' }
    ],
    'root'
  )
  assert.deepEqual(index.route('root'), { kind: 'here' })
  assert.deepEqual([...index.managed()].sort(), ['a', 'root'])
  assert.deepEqual([...index.below('root')], ['a'])
  assert.ok(index.isBelow('root'))
  assert.ok(!index.isUnder('root', 'root'))
  assert.deepEqual([...index.subRelays()], [])
})

test('a relay with an entry of its own sends what is for itself up', () => {
  const index = indexOf(
    [
      { id: 'relay', policyServer: 'root' },
      { id: 'a', policyServer: 'relay' }
    ],
    'relay'
  )
  assert.deepEqual(index.route('relay'), { kind: 'up' })
  assert.deepEqual(index.route('a'), { kind: 'here' })
  assert.equal(index.find('relay')?.policyServer, 'root')
  assert.ok(!index.isBelow('relay'))
})

test('a node whose policy servers lead elsewhere is known, and not below', () => {
  const stray = [
    { id: 'a', policyServer: 'elsewhere' },
    { id: 'b', policyServer: 'a' }
  ]
  const relay = indexOf([...stray, { id: 'c', policyServer: 'relay' }], 'relay')
  assert.deepEqual(relay.route('b'), { kind: 'up' })
  assert.equal(relay.find('a')?.policyServer, 'elsewhere')
  assert.ok(!relay.isBelow('b'))
  assert.ok(relay.isUnder('b', 'a'))
  const root = indexOf([...stray, { id: 'root', policyServer: 'root' }], 'root')
  assert.deepEqual(root.route('b'), { kind: 'unknown' })
  assert.equal(root.find('elsewhere'), undefined)
})

test('a page begins after the id that is given, whether or not there is such a node', () => {
  const index = indexOf(
    ['d', 'b', 'a', 'c'].map(id => ({ id, policyServer: 'root' })),
    'root'
  )
  const page = (after: string | undefined, limit: number) => index.page(after, limit).map(({ id }) => id)
  assert.deepEqual(page(undefined, 2), ['a', 'b'])
  assert.deepEqual(page('b', 2), ['c', 'd'])
  assert.deepEqual(page('bb', 10), ['c', 'd'])
  assert.deepEqual(page('d', 10), [])
})

test('ids that no node can have are not found, whatever their length', () => {
  const index = indexOf([{ id: 'root', policyServer: 'root' }], 'root')
  for (const id of ['', '\u0172oot', 'root\0', 'r'.repeat(100_000), '__proto__', 'constructor']) {
    assert.deepEqual(index.route(id), { kind: 'unknown' })
    assert.equal(index.find(id), undefined)
  }
})

test('an empty tree knows nobody', () => {
  const relay = TopologyIndex.empty('relay')
  assert.deepEqual(relay.route('a'), { kind: 'up' })
  assert.deepEqual([...relay.managed()], [])
  assert.deepEqual([...relay.below('relay')], [])
  assert.deepEqual(relay.page(undefined, 10), [])
})
