import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LinkRegistry } from '../../../src/links/upper/link-registry.js'
import type { LinkOwner, UpperLink } from '../../../src/links/upper/upper-link.js'
import { followClients } from '../../../src/services/keys/registered-clients.js'
import { ServiceKeys } from '../../../src/services/keys/service-keys.js'
import { silentLogger } from '../../../src/values/logging/logger.js'

/** As much of a link as is looked at. */
function linkOf(id: string, owner: LinkOwner): UpperLink {
  const closed = new Promise<string>(() => undefined)
  const bytes = { received: 0, sent: 0 }
  const link = { id, owner, bytes, closed, isOpen: true, remoteAddress: 'x', connectedAtMs: 7, close: () => undefined }
  return link as unknown as UpperLink
}

test('clients are services for as long as their link stands, and no others', () => {
  const registry = new LinkRegistry({ max: 100, logger: silentLogger })
  const keys = new ServiceKeys({ maxKeys: 1 })
  const tooMany: string[] = []
  followClients(registry, keys, link => tooMany.push(link.id))
  const one = linkOf('1', { kind: 'client', id: 'git', clientId: 'one' })
  registry.add(one)
  registry.add(linkOf('2', { kind: 'node', id: 'git' }))
  registry.add(linkOf('3', { kind: 'client', id: 'svn', clientId: 'one' }))
  const show = () => [...keys.all()].map(({ key, id, path, way }) => [key, id, path.length, way?.name].join(' '))
  assert.deepEqual([show(), tooMany], [['git one 0 client git/one'], ['3']])
  const [before] = keys.under('git')
  registry.add(linkOf('4', { kind: 'client', id: 'git', clientId: 'one' }))
  assert.deepEqual(show(), ['git one 0 client git/one'])
  assert.notEqual(keys.under('git')[0], before, 'the newer link')
  const [newer] = registry.replicasOf('git')
  assert.ok(newer !== undefined, 'it stands')
  registry.end(newer, 4410, 'removed')
  assert.deepEqual([show(), keys.size], [[], 0])
})
