import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { TREELINE } from '../../src/hops/dialect.js'
import type { Hop, HopOutcome, HopRequest } from '../../src/hops/hop.js'
import type { LinkEvent } from '../../src/links/upper/link-registry.js'
import type { UpperLink } from '../../src/links/upper/upper-link.js'
import { HANDED_AT_ONCE, RevocationExchange } from '../../src/relay/membership/revocation-exchange.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { eventually } from '../support/eventually.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'
import { makeRevocations } from '../support/parts/revocations.js'

const taken = (): HopOutcome => ({ kind: 'answered', status: 204, headers: {}, body: Readable.from([]) })
const link = (id: string, kind: 'node' | 'client' = 'node') => ({ owner: { kind, id } }) as UpperLink

async function bodyOf({ body }: HopRequest): Promise<Buffer> {
  const given = body?.()
  if (Buffer.isBuffer(given)) {
    assert.ok(given.length <= 16 * 1024, 'its connection would keep memory for all of it')
    return given
  }
  return Buffer.concat(await (given ?? Readable.from([])).toArray())
}

/** An exchange of a relay that holds these links. `answers` says how who is handed a list answers. */
async function start(
  t: TestContext,
  ids: readonly string[],
  answers: (id: string) => Promise<HopOutcome>,
  { hasUpper = true, now = Date.now } = {}
) {
  const { revocations: book, revoke } = await makeRevocations(join(await temporaryFolder(t), 'revocations'))
  const handed: string[] = []
  const asked: HopRequest[] = []
  const listeners: ((event: LinkEvent, link: UpperLink) => void)[] = []
  const hop = (id: string, request: Hop['request']): Hop => ({ id, dialect: TREELINE, request })
  const exchange = new RevocationExchange({
    book,
    neighbours: {
      linked: id =>
        hop(id, async request => {
          const body = await bodyOf(request)
          const list = new URLSearchParams(body.toString()).get('list')
          assert.equal(request.headers['content-length'], String(body.length))
          handed.push(`${id} ${list === book.text}`)
          return answers(id)
        }),
      up: () =>
        hop('above', async request => {
          asked.push(request)
          return answers('above')
        })
    },
    registry: {
      all: () => [...ids.map(id => link(id)), link('client', 'client')],
      onChange: listener => {
        listeners.push(listener)
        return () => undefined
      }
    },
    hasUpper,
    logger: silentLogger,
    now
  })
  t.after(() => exchange.stop())
  const tell = (event: LinkEvent, of: UpperLink) => {
    for (const listener of listeners) listener(event, of)
  }
  return { exchange, handed, asked, revoke, tell }
}

test('every relay and node with a link is handed each list once, and whoever opens one later', async t => {
  const ids = Array.from({ length: 3 * HANDED_AT_ONCE }, (_, at) => `n-${at}`)
  let release: (outcome: HopOutcome) => void = () => undefined
  const stuck = new Promise<HopOutcome>(resolve => {
    release = resolve
  })
  const { handed, revoke, tell } = await start(t, ids, async id => (id === 'n-0' ? stuck : taken()))
  tell('opened', link('n-1'))
  assert.deepEqual(handed, [], 'there is nothing to tell')
  await revoke('rel-2', 'ab'.repeat(32))
  await eventually('all of them', () => handed.length === ids.length)
  assert.deepEqual([...handed].sort(), ids.map(id => `${id} true`).sort())
  tell('opened', link('n-1'))
  tell('opened', link('late'))
  tell('opened', link('client', 'client'))
  await eventually('the new links, while one does not answer', () => handed.length === ids.length + 2)
  assert.deepEqual(handed.slice(-2), ['n-1 true', 'late true'])
  release(taken())
})

test('who could not be reached is tried again at the next look; who refused is not', async t => {
  const { exchange, handed, asked, revoke } = await start(t, ['away', 'older'], async id => {
    if (id !== 'older') return { kind: 'unreachable', reason: 'silent', sent: true }
    return { kind: 'refused', status: 404, headers: {}, body: Readable.from([]) }
  })
  await revoke('rel-2', 'ab'.repeat(32))
  await eventually('both', () => handed.length === 2)
  await exchange.look()
  await eventually('one of them again', () => handed.length === 3)
  assert.equal(handed.at(-1), 'away true')
  assert.deepEqual(
    asked.map(({ method, path, headers }) => [method, path, headers['if-none-match']]),
    [['GET', 'v1/revocations', '"1"']]
  )
})

test('a list of thousands is handed in pieces', async t => {
  const { handed, revoke } = await start(t, ['n-1', 'n-2'], async () => taken())
  await revoke('rel-2', ...Array.from({ length: 1_000 }, (_, at) => at.toString(16).padStart(64, '0')))
  await eventually('both', () => handed.length === 2)
  assert.deepEqual([...handed].sort(), ['n-1 true', 'n-2 true'])
})

test('members that were silent keep the next list from nobody else', async t => {
  const silent = Array.from({ length: 2 * HANDED_AT_ONCE }, (_, at) => `silent-${at}`)
  let release: () => void = () => undefined
  const stuck = new Promise<void>(resolve => {
    release = resolve
  })
  let isSecond = false
  const answers = async (id: string): Promise<HopOutcome> => {
    if (!id.startsWith('silent')) return taken()
    return isSecond ? stuck.then(taken) : { kind: 'unreachable', reason: 'it was silent for too long', sent: true }
  }
  const { exchange, handed, revoke, tell } = await start(t, [...silent, 'n-1'], answers)
  await revoke('rel-2', 'ab'.repeat(32))
  await eventually('the first list everywhere', () => handed.length === silent.length + 1)
  isSecond = true
  await exchange.look()
  await revoke('rel-3', 'cd'.repeat(32))
  await eventually('the second list', () => handed.filter(line => line === 'n-1 true').length === 2)
  tell('opened', link('late'))
  await eventually('the list at a new link', () => handed.at(-1) === 'late true')
  release()
})

test('when the policy server last answered is known, and stays when it does not; at the root nobody is asked', async t => {
  const clock = { nowMs: 5_000 }
  const answers: HopOutcome[] = [
    { kind: 'unreachable', reason: 'away', sent: false },
    { kind: 'answered', status: 304, headers: {}, body: Readable.from([]) },
    { kind: 'refused', status: 404, headers: {}, body: Readable.from([]) }
  ]
  const answer = async () => answers.shift() ?? taken()
  const { exchange } = await start(t, [], answer, { now: () => clock.nowMs })
  const after: (number | undefined)[] = [exchange.answeredAtMs]
  for (const _ of [...answers]) {
    await exchange.look()
    after.push(exchange.answeredAtMs)
    clock.nowMs += 1_000
  }
  assert.deepEqual(after, [0, 0, 6_000, 6_000])
  const root = await start(t, [], answer, { hasUpper: false })
  await root.exchange.look()
  assert.equal(root.exchange.answeredAtMs, undefined)
})
