import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { RESET } from '../../../src/links/streams/stream-protocol.js'
import { type ClientDirectoryOptions, ServiceDirectory } from '../../../src/services/keys/client-directory.js'
import { removeBelow, takeRemovals } from '../../../src/services/keys/remove-below.js'
import type { ReplicaFacts, ServiceWay } from '../../../src/services/keys/replica.js'
import { ServiceKeys } from '../../../src/services/keys/service-keys.js'
import { StreamKinds } from '../../../src/services/streams/stream-kinds.js'
import { connectionPair } from '../../support/parts/stream-pairs.js'

const HERE: ServiceWay = { name: 'here', isOpen: true, streams: 0, open: () => assert.fail('nobody opens it') }

function factsOf(key: string, id: string, path: readonly string[] = []): ReplicaFacts {
  return { key, id, path, remoteAddress: 'x', connectedAtMs: 1 }
}

function directoryOf(keys: ServiceKeys) {
  const removed: string[] = []
  const links: ClientDirectoryOptions['links'] = {
    removeClients: (key, id) => {
      removed.push(`${key}/${id}`)
      return []
    }
  }
  return { directory: new ServiceDirectory({ keys, links, below: removeBelow }), removed }
}

/** A way to a relay that removes as `remove` says. */
async function wayTo(t: TestContext, id: string, remove: Parameters<typeof takeRemovals>[1]): Promise<ServiceWay> {
  const pair = await connectionPair(t)
  pair.take(new StreamKinds(id).on('remove', takeRemovals(id, remove)).take)
  return { name: id, isOpen: true, streams: 0, open: payload => pair.upper.open(payload) }
}

const show = (clients: readonly ReplicaFacts[]) => clients.map(({ key, id, path }) => [key, id, ...path].join(' '))

test('pages have all clients once, in one order', () => {
  const name = fc.constantFrom('a', 'a-b', 'a_b', 'b')
  const clients = fc.uniqueArray(fc.tuple(name, name, fc.array(name, { maxLength: 2 })), { selector: String })
  fc.assert(
    fc.property(clients, fc.integer({ min: 1, max: 5 }), (all, limit) => {
      const keys = new ServiceKeys()
      for (const [key, id, path] of all) keys.add({ ...factsOf(key, id, path), way: HERE })
      const { directory } = directoryOf(keys)
      const seen: string[] = []
      let after: string | undefined
      do {
        const page = directory.list(after, limit)
        assert.ok(page.clients.length <= limit, 'too long a page')
        seen.push(...show(page.clients))
        after = page.next
      } while (after !== undefined)
      assert.deepEqual(seen, show(directory.list(undefined, 1_000).clients))
      assert.deepEqual([...seen].sort(), show([...keys.all()]).sort())
    })
  )
})

test('clients are removed where they are, here and at each relay below', async t => {
  const keys = new ServiceKeys()
  const asked: unknown[] = []
  const relay = await wayTo(t, 'relay-1', async (selection, hops) => {
    asked.push([selection, hops])
    return [factsOf('git', 'two', ['relay-2'])]
  })
  keys.add({ ...factsOf('git', 'one'), way: HERE })
  keys.add({ ...factsOf('git', 'two', ['relay-1', 'relay-2']), way: relay })
  keys.add({ ...factsOf('svn', 'one', ['relay-1']), way: relay })
  keys.add({ ...factsOf('git', 'away', ['relay-9']), way: undefined, staleSinceMs: 1 })
  const { directory, removed } = directoryOf(keys)
  assert.deepEqual(show(await directory.remove('git')), ['git one', 'git two relay-1 relay-2'])
  assert.deepEqual(removed, ['git/one'])
  await directory.remove('git', 'two')
  await directory.remove('one')
  assert.deepEqual(JSON.parse(JSON.stringify(asked)), [
    [{ key: 'git' }, 1],
    [{ key: 'git', id: 'two' }, 1],
    [{ id: 'one' }, 1]
  ])
  for (const [name, id] of [['none'], ['git', 'none'], ['one', 'one'], ['away']] as const) {
    await assert.rejects(directory.remove(name, id), { code: 'NOT_FOUND' })
  }
})

test('a relay that cannot be asked, or fails, is told with what was removed', async t => {
  const keys = new ServiceKeys()
  const failing = await wayTo(t, 'relay-1', () => Promise.reject(new Error('relay-3: no answer')))
  const older = await connectionPair(t)
  older.take(stream => stream.reset(RESET.refused, 'relay-2: streams of the kind remove are not taken here'))
  keys.add({ ...factsOf('git', 'one'), way: HERE })
  keys.add({ ...factsOf('git', 'two', ['relay-1']), way: failing })
  keys.add({ ...factsOf('git', 'three', ['relay-2']), way: { ...failing, open: payload => older.upper.open(payload) } })
  await assert.rejects(directoryOf(keys).directory.remove('git'), {
    code: 'HOP_UNREACHABLE',
    message:
      'not all clients could be removed (1 removed): relay-1: relay-3: no answer; relay-2: relay-2: streams of the kind remove are not taken here'
  })
})

for (const [what, line] of [
  ['neither key nor id', { hops: 1 }],
  ['a key that is no text', { key: 7, hops: 1 }],
  ['no hops', { key: 'git' }],
  ['too many hops', { key: 'git', hops: 17 }]
] as const) {
  test(`a removal with ${what} is refused`, async t => {
    const way = await wayTo(t, 'relay-1', () => assert.fail('it is not removed'))
    const send = { ...way, open: () => way.open(Buffer.from(`${JSON.stringify({ kind: 'remove', ...line })}\n`)) }
    await assert.rejects(removeBelow.ask(send, { key: 'git', id: undefined }, 0), /^StreamResetError: relay-1: /)
  })
}
