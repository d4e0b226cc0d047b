import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { makeAgentCertificate } from '../../demo/pki.js'
import { createLinkAdministration } from '../../src/links/upper/link-administration.js'
import { nextLinkId } from '../../src/links/upper/link-id.js'
import { LinkRegistry } from '../../src/links/upper/link-registry.js'
import type { LinkOwner, UpperLink } from '../../src/links/upper/upper-link.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { eventually } from '../support/eventually.js'
import { makeLowerSide, startUpperSide } from '../support/parts/links.js'

const MINUTE_MS = 60_000

/** As much of a link as the registry looks at. */
function linkOf(owner: LinkOwner, streams = 0): UpperLink {
  const closed = new Promise<string>(() => undefined)
  const bytes = { received: 0, sent: 0 }
  const link = {
    id: nextLinkId(),
    owner,
    streams,
    bytes,
    closed,
    isOpen: true,
    remoteAddress: 'x',
    close: () => undefined
  }
  return link as unknown as UpperLink
}

test('beyond links.max nobody new is let in, and whoever is there can come back', async t => {
  const [one, two] = await Promise.all(
    ['node-1', 'node-2'].map(nodeId => makeAgentCertificate({ nodeId, hostname: 'x' }))
  )
  assert.ok(one !== undefined && two !== undefined)
  const known = new Map([
    [one.certificateDer.toString('base64'), 'node-1'],
    [two.certificateDer.toString('base64'), 'node-2']
  ])
  const upper = await startUpperSide(t, known, { max: 1 })
  const serve = () => undefined
  makeLowerSide(t, upper, one, serve).dialer.start()
  const first = await eventually('the link', () => upper.registry.ofNode('node-1'))
  const { dialer: late } = makeLowerSide(t, upper, two, serve)
  late.start()
  await eventually('a refusal', () => late.status.reason?.includes('links.max'))
  assert.equal(upper.registry.ofNode('node-1'), first, 'the link that stands is left alone')
  makeLowerSide(t, upper, one, serve, { backoff: { firstMs: MINUTE_MS, maxMs: MINUTE_MS } }).dialer.start()
  await eventually('the newer one', () => {
    const now = upper.registry.ofNode('node-1')
    return now !== undefined && now !== first
  })
})

test('of two replicas the less busy one is taken, and of many each now and then', () => {
  const registry = new LinkRegistry({ max: 100, logger: silentLogger })
  const busy = linkOf({ kind: 'client', id: 'git', clientId: 'busy' }, 5)
  const idle = linkOf({ kind: 'client', id: 'git', clientId: 'idle' }, 1)
  registry.add(busy)
  assert.equal(registry.ofClient('git'), busy)
  registry.add(idle)
  const picks = () => new Set(Array.from({ length: 1_000 }, () => registry.ofClient('git')))
  assert.deepEqual([...picks()], [idle])
  const others = [0, 1].map(index => linkOf({ kind: 'client', id: 'git', clientId: `other-${index}` }, 1))
  for (const other of others) registry.add(other)
  assert.deepEqual(picks(), new Set([idle, ...others]))
})

test('more than three replacements within a minute are reported, once, as two machines with one identity', () => {
  const lines: string[] = []
  const logger = pino({ level: 'error' }, { write: (line: string) => void lines.push(line) })
  let nowMs = 0
  const registry = new LinkRegistry({ max: 100, logger, now: () => nowMs })
  const open = (waitMs: number) => {
    nowMs += waitMs
    registry.add(linkOf({ kind: 'node', id: 'node-1' }))
  }
  for (const waitMs of [0, MINUTE_MS / 2, MINUTE_MS / 2, MINUTE_MS / 2, MINUTE_MS / 2, MINUTE_MS / 2]) open(waitMs)
  assert.deepEqual(lines, [])
  for (let again = 0; again < 4; again += 1) open(1_000)
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /"id":"node-1".*two machines may have one identity/)
})

test('links are listed the oldest first, page after page, in whatever order they were let in', () => {
  const registry = new LinkRegistry({ max: 100, logger: silentLogger })
  const links = Array.from({ length: 12 }, (_, index) => linkOf({ kind: 'node', id: `node-${index}` }))
  const ids = links.map(({ id }) => id)
  for (const link of [...links.slice(5), ...links.slice(0, 5)]) registry.add(link)
  const { list } = createLinkAdministration(registry)
  const listed = (after: string | undefined, limit: number) => list(after, limit).map(({ linkId }) => linkId)
  assert.deepEqual(listed(undefined, 100), ids)
  assert.deepEqual(listed(undefined, 5), ids.slice(0, 5))
  assert.deepEqual(listed(ids[4], 100), ids.slice(5))
})
