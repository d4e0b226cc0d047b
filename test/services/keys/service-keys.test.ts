import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Replica, ServiceWay } from '../../../src/services/keys/replica.js'
import { ServiceKeys } from '../../../src/services/keys/service-keys.js'
import { seededRandom } from '../../support/seeded-random.js'

function wayOf(name: string, streams = 0, isOpen = true): ServiceWay {
  return { name, streams, isOpen, open: () => assert.fail('nobody opens it') }
}

function replicaOf(key: string, way: ServiceWay | undefined, levels = 0, id = 'one'): Replica {
  const path = Array.from({ length: levels }, (_, level) => `relay-${level}`)
  return { key, id, path, remoteAddress: 'x', connectedAtMs: 0, way, ...(way === undefined ? { staleSinceMs: 1 } : {}) }
}

test('a key that nobody serves leads nowhere', () => {
  const keys = new ServiceKeys()
  const one = replicaOf('git', wayOf('one'))
  assert.equal(keys.pick('git'), undefined)
  keys.add(one)
  assert.equal(keys.pick('git'), one.way)
  assert.equal(keys.pick('svn'), undefined)
  keys.remove(one)
  keys.remove(one)
  assert.deepEqual([keys.pick('git'), keys.size, keys.has('git')], [undefined, 0, false])
})

test('of two replicas the less busy one is taken, and of many each now and then', () => {
  const keys = new ServiceKeys({ random: seededRandom(1) })
  const busy = wayOf('busy', 5)
  const idle = wayOf('idle', 1)
  keys.add(replicaOf('git', busy))
  keys.add(replicaOf('git', idle))
  const picks = () => new Set(Array.from({ length: 1_000 }, () => keys.pick('git')))
  assert.deepEqual([...picks()], [idle])
  const others = [wayOf('other', 1), wayOf('another', 1)]
  for (const way of others) keys.add(replicaOf('git', way))
  assert.deepEqual(picks(), new Set([idle, ...others]))
})

test('a sub-relay with many replicas counts as many, and shares its streams among them', () => {
  const keys = new ServiceKeys({ random: seededRandom(1) })
  const many = wayOf('many', 9)
  const one = wayOf('one', 2)
  for (let id = 0; id < 9; id += 1) keys.add(replicaOf('git', many, 1, String(id)))
  keys.add(replicaOf('git', one, 1))
  const picks = Array.from({ length: 1_000 }, () => keys.pick('git'))
  assert.deepEqual(new Set(picks), new Set([many]))
})

const anyWay = fc
  .record({ streams: fc.nat(5), isOpen: fc.boolean() })
  .map(({ streams, isOpen }) => wayOf('w', streams, isOpen))

test('a way with the fewest levels is picked, of those that stand and were not tried; none only where there is none', () => {
  fc.assert(
    fc.property(
      fc.array(anyWay, { minLength: 1, maxLength: 5 }),
      fc.array(fc.tuple(fc.constantFrom('git', 'svn'), fc.nat(4), fc.nat(3), fc.boolean()), { maxLength: 20 }),
      fc.array(fc.nat(4)),
      fc.nat(),
      (ways, changes, tried, seed) => {
        const keys = new ServiceKeys({ random: seededRandom(seed) })
        const there: Replica[] = []
        for (const [key, index, levels, comes] of changes) {
          const gone = comes ? undefined : there.shift()
          if (gone !== undefined) keys.remove(gone)
          const way = ways[index % ways.length]
          if (way === undefined || !comes) continue
          const replica = replicaOf(key, way, levels)
          there.push(replica)
          keys.add(replica)
          keys.pick(key)
        }
        const excluded = new Set(tried.flatMap(index => ways[index] ?? []))
        const usable = there.filter(({ key, way }) => key === 'git' && way?.isOpen === true && !excluded.has(way))
        const fewest = Math.min(...usable.map(({ path }) => path.length))
        const wanted = usable.filter(({ path }) => path.length === fewest).map(({ way }) => way)
        const picked = keys.pick('git', excluded)
        if (wanted.length === 0) {
          const closed = there.some(({ key, way }) => key === 'git' && way === picked)
          assert.ok(picked === undefined || !closed)
        } else assert.ok(wanted.includes(picked))
        assert.deepEqual(new Set(keys.all()), new Set(there))
        assert.equal(keys.size, new Set(there.map(({ key }) => key)).size)
      }
    )
  )
})

test('beyond the bound no further key is taken, and the others may have further replicas', () => {
  const keys = new ServiceKeys({ maxKeys: 2, maxStale: 1 })
  const git = replicaOf('git', wayOf('one'))
  assert.deepEqual([keys.add(git), keys.add(replicaOf('svn', wayOf('two')))], [true, true])
  assert.deepEqual([keys.hasRoomFor('hg'), keys.hasRoomFor('git')], [false, true])
  assert.deepEqual(
    [keys.add(replicaOf('hg', wayOf('three'))), keys.add(replicaOf('git', wayOf('four')))],
    [false, true]
  )
  assert.deepEqual([keys.add(replicaOf('hg', undefined)), keys.add(replicaOf('p4', undefined))], [true, false])
})

test('replicas that are away are listed and never picked; listeners hear of all', () => {
  const keys = new ServiceKeys()
  const heard: string[] = []
  const stop = keys.onChange((event, { key }) => heard.push(`${event} ${key}`))
  const away = replicaOf('git', undefined)
  keys.add(away)
  assert.equal(keys.pick('git'), undefined)
  assert.deepEqual([...keys.all()], [away])
  keys.remove(away)
  stop()
  keys.add(away)
  assert.deepEqual(heard, ['added git', 'removed git'])
})
