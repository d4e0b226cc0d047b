import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { LinkEvent } from '../../../src/links/upper/link-registry.js'
import type { LinkOwner, UpperLink } from '../../../src/links/upper/upper-link.js'
import { KeyAnnouncer } from '../../../src/services/keys/key-announcer.js'
import { KeysBelow } from '../../../src/services/keys/keys-below.js'
import type { Replica } from '../../../src/services/keys/replica.js'
import { ServiceKeys } from '../../../src/services/keys/service-keys.js'
import { StreamKinds } from '../../../src/services/streams/stream-kinds.js'
import { silentLogger } from '../../../src/values/logging/logger.js'
import { connectionPair, type StreamPair, until } from '../../support/parts/stream-pairs.js'

/** A relay that asks those below for their keys. */
function startUpper(options: { readonly maxKeys?: number; readonly maxReplicas?: number } = {}) {
  const keys = new ServiceKeys(options)
  let mayOffer = (_nodeId: string, _key: string) => true
  const allow = (other: typeof mayOffer) => {
    mayOffer = other
    below.review()
  }
  const warnings: object[] = []
  let tell: (event: LinkEvent, link: UpperLink) => void = () => assert.fail('it does not listen')
  const registry = {
    onChange: (listener: typeof tell) => {
      tell = listener
      return () => undefined
    }
  }
  const logger = { ...silentLogger, warn: (details: object) => void warnings.push(details) }
  const below = new KeysBelow({
    registry,
    keys,
    selfId: 'root',
    mayOffer: (nodeId, key) => mayOffer(nodeId, key),
    logger,
    now: () => 5_000,
    backoff: { firstMs: 1, maxMs: 1 },
    ...options
  })
  below.start()
  /** A link whose stream connections `pairs` gives, one after another. */
  const open = (owner: LinkOwner, pairs: readonly StreamPair[], hasServices = true) => {
    const left = [...pairs]
    const state = { isOpen: true, asked: 0 }
    const link = {
      owner,
      hasServices,
      get isOpen() {
        return state.isOpen
      },
      streamLane: {
        connection: undefined,
        get: async () => {
          state.asked += 1
          const next = left.shift()
          if (next === undefined) throw new Error('the other side answers 404')
          return next.upper
        }
      }
    }
    tell('opened', link as unknown as UpperLink)
    return state
  }
  const list = () =>
    [...keys.all()]
      .map(({ key, id, path, way, staleSinceMs }) =>
        [key, id, path.join('>'), way?.name ?? `stale ${staleSinceMs}`].join(' ')
      )
      .sort()
  return { keys, open, list, warnings, allow }
}

/** A relay that is asked. */
async function startLower(t: TestContext, count = 1) {
  const keys = new ServiceKeys()
  const warnings: object[] = []
  const logger = { ...silentLogger, warn: (details: object) => void warnings.push(details) }
  let tellAgain = () => assert.fail('nothing was refused')
  const announcer = new KeyAnnouncer({
    keys,
    logger,
    soon: flush => void setImmediate(flush),
    later: tell => {
      tellAgain = tell as () => never
    }
  })
  const pairs = await Promise.all(Array.from({ length: count }, () => connectionPair(t)))
  for (const pair of pairs) pair.take(new StreamKinds('relay-1').on('keys', announcer.take).take)
  const add = (key: string, id: string, path: readonly string[] = [], staleSinceMs?: number): Replica => {
    const way = { name: 'way', isOpen: true, streams: 0, open: () => assert.fail('nobody opens it') }
    const facts = { key, id, path, remoteAddress: 'x', connectedAtMs: 1 }
    const replica = staleSinceMs === undefined ? { ...facts, way } : { ...facts, way: undefined, staleSinceMs }
    keys.add(replica)
    return replica
  }
  return { keys, announcer, pairs, add, warnings, tellAgain: () => tellAgain() }
}

const RELAY: LinkOwner = { kind: 'relay', id: 'relay-1' }

test('keys below are known with their path, those that come and go too, and a key that is away', async t => {
  const upper = startUpper()
  const lower = await startLower(t)
  const one = lower.add('git', 'one')
  lower.add('git', 'two', ['relay-2'])
  upper.open(RELAY, lower.pairs)
  await until(() => assert.deepEqual(upper.list(), ['git one relay-1 relay-1', 'git two relay-1>relay-2 relay-1']))
  lower.keys.remove(one)
  lower.add('svn', 'three', ['relay-2'], 77)
  const brief = lower.add('hg', 'brief')
  lower.keys.remove(brief)
  await until(() =>
    assert.deepEqual(upper.list(), ['git two relay-1>relay-2 relay-1', 'svn three relay-1>relay-2 stale 77'])
  )
  assert.equal(upper.keys.pick('git')?.name, 'relay-1')
  assert.equal(upper.keys.pick('svn'), undefined)
})

test('keys of a connection that breaks are away, and all of them are told again', async t => {
  const upper = startUpper()
  const lower = await startLower(t, 2)
  lower.add('git', 'one')
  upper.open(RELAY, lower.pairs)
  await until(() => assert.deepEqual(upper.list(), ['git one relay-1 relay-1']))
  const heard: string[] = []
  upper.keys.onChange((event, { staleSinceMs }) => heard.push(`${event} ${staleSinceMs ?? 'live'}`))
  lower.pairs[0]?.lower.close('cut')
  await until(() => assert.equal(heard.length, 4))
  assert.deepEqual(heard, ['removed live', 'added 5000', 'added live', 'removed 5000'])
  assert.deepEqual(upper.list(), ['git one relay-1 relay-1'])
})

test('a relay that stops takes its keys back, and is not asked again over the same link', async t => {
  const upper = startUpper()
  const lower = await startLower(t, 2)
  lower.add('git', 'one')
  const link = upper.open(RELAY, lower.pairs)
  await until(() => assert.equal(upper.keys.size, 1))
  lower.announcer.stop()
  await until(() => assert.deepEqual(upper.list(), ['git one relay-1 stale 5000']))
  await until(() => assert.equal(lower.pairs[0]?.lower.count, 0))
  assert.equal(link.asked, 1)
})

test('only links behind which services may be are asked; one without streams announces nothing', async t => {
  const upper = startUpper()
  const lower = await startLower(t)
  assert.equal(upper.open(RELAY, lower.pairs, false).asked, 0)
  assert.equal(upper.open({ kind: 'client', id: 'git', clientId: 'one' }, lower.pairs).asked, 0)
  const older = upper.open(RELAY, [])
  await until(() => assert.ok(older.asked > 1, 'it is asked again, less and less often'))
  older.isOpen = false
  assert.deepEqual([upper.list(), upper.warnings], [[], []])
})

test('an agent stands for itself, whatever it says', async t => {
  const upper = startUpper()
  const lower = await startLower(t)
  lower.add('git', 'another', ['relay-9'])
  upper.open({ kind: 'node', id: 'node-1' }, lower.pairs)
  await until(() => assert.deepEqual(upper.list(), ['git node-1  node-1']))
})

test('beyond a bound keys are refused, and both sides say so', async t => {
  const upper = startUpper({ maxKeys: 1, maxReplicas: 2 })
  const lower = await startLower(t)
  const git = lower.add('git', 'one')
  lower.add('svn', 'one')
  upper.open(RELAY, lower.pairs)
  await until(() => assert.equal(lower.warnings.length, 1))
  lower.add('git', 'two')
  lower.add('git', 'three')
  await until(() => assert.equal(lower.warnings.length, 2))
  assert.deepEqual(upper.list(), ['git one relay-1 relay-1', 'git two relay-1 relay-1'])
  assert.deepEqual(lower.warnings, [
    { key: 'svn', reason: 'root has 10000 client keys already' },
    { key: 'git', reason: 'root has 2 clients of sub-relays already' }
  ])
  assert.equal(upper.warnings.length, 2)
  lower.keys.remove(git)
  await until(() => assert.deepEqual(upper.list(), ['git two relay-1 relay-1']))
  lower.tellAgain()
  await until(() => assert.deepEqual(upper.list(), ['git three relay-1 relay-1', 'git two relay-1 relay-1']))
})

test('a circle of links ends, and lines that cannot be read are left out and logged', async t => {
  const upper = startUpper()
  const [pair] = [await connectionPair(t)]
  pair.take(stream => {
    stream.message(
      Buffer.from(
        [
          'rubbish',
          '{"n":1,"key":"git","id":"one","path":["relay-2","root"],"address":"x","connected":1}',
          '{"n":2,"key":"../x","id":"one","path":[],"address":"x","connected":1}',
          '{"n":3,"key":"git","id":"one","path":[],"address":"x","connected":1}',
          '{"n":3,"key":"git","id":"two","path":[],"address":"x","connected":1}',
          '{"gone":99}'
        ].join('\n')
      )
    )
  })
  upper.open(RELAY, [pair])
  await until(() => assert.deepEqual(upper.list(), ['git one relay-1 relay-1']))
  assert.equal(upper.warnings.length, 3)
})

test('ten thousand keys are told in messages of a bounded size', async t => {
  const upper = startUpper()
  const lower = await startLower(t)
  for (let index = 0; index < 10_000; index += 1) lower.add(`key-${index}`, 'one')
  upper.open(RELAY, lower.pairs)
  await until(() => assert.equal(upper.keys.size, 10_000))
})

test('a relay takes of its agents what its configuration lets them offer, and takes up changes of that', async t => {
  const upper = startUpper()
  const lower = await startLower(t)
  upper.allow((nodeId, key) => nodeId === 'node-1' && key === 'builds')
  lower.add('builds', 'x')
  lower.add('git', 'x')
  upper.open({ kind: 'node', id: 'node-1' }, lower.pairs)
  await until(() => assert.deepEqual(upper.list(), ['builds node-1  node-1']))
  await until(() => assert.match(JSON.stringify(lower.warnings), /agent_keys of root does not let node-1 offer it/))
  assert.match(JSON.stringify(upper.warnings), /"id":"node-1","key":"git"/)
  upper.allow((_nodeId, key) => key === 'git')
  assert.deepEqual(upper.list(), [])
  await until(() => assert.equal(lower.warnings.length, 2))
  lower.tellAgain()
  await until(() => assert.deepEqual(upper.list(), ['git node-1  node-1']))
})
