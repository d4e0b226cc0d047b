import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { RELAYD } from '../../src/hops/dialect.js'
import { POLICY_SERVER } from '../../src/hops/hop.js'
import type { Caller } from '../../src/network/caller.js'
import { HopRefusedError, RelayError, type RelayErrorCode } from '../../src/values/failures/relay-error.js'
import { relayOutcome } from '../support/parts/outboxes.js'
import {
  BELOW_RELAY,
  keyHashOf,
  originOf,
  outcome,
  rsaKey,
  sign,
  startSharedFiles,
  TestHop
} from '../support/parts/shared-file-relays.js'

const ABOVE: Caller = { kind: 'policy-server', address: '10.0.0.1' }
const BELOW: Caller = { kind: 'relay', id: 'relay', address: '10.0.0.2' }
const withCode = (code: RelayErrorCode) => (error: unknown) => error instanceof RelayError && error.code === code

/** root and relay, leading to one another. */
async function startPair(t: TestContext) {
  const down = new TestHop('relay')
  const up = new TestHop(POLICY_SERVER)
  const root = await startSharedFiles(t, { hops: [down] })
  const relay = await startSharedFiles(t, { selfId: 'relay', nodes: BELOW_RELAY, hops: [up] })
  down.leadTo(relay.files, ABOVE)
  up.leadTo(root.files, BELOW)
  return { root, relay, down, up }
}

test('a file goes down to the relay of its target, which does not know the source', async t => {
  const { root, relay, down } = await startPair(t)
  const file = sign('n2/n1/f', 'hello')
  assert.equal(await root.head(file), false)
  assert.equal(await root.put(file, { origin: originOf(undefined, ['far']) }), 'stored')
  assert.equal(readFileSync(join(relay.folder, 'shared-files/n2/files/n1/f'), 'utf8'), 'hello')
  assert.equal(existsSync(join(root.folder, 'shared-files/n2')), false)
  assert.deepEqual(readdirSync(join(root.folder, 'shared-files/.incoming~')), [])
  assert.equal(await root.head(file), true)
  const request = down.requests.find(({ method }) => method === 'PUT')
  assert.equal(request?.path, 'shared-files/n2/n1/f?ttl=3600')
  const { 'treeline-accepted-in': series = '', ...headers } = request?.headers ?? {}
  const now = root.clock.nowMs
  assert.match(series, new RegExp(`^[0-9a-f]{32} ${now} ${now}$`))
  assert.deepEqual(headers, {
    'content-type': 'application/octet-stream',
    'content-length': String(file.body.length),
    'treeline-accepted-at': String(now),
    'treeline-passed': 'far,root',
    'treeline-source-key-hash': keyHashOf(rsaKey),
    'x-request-id': 'test'
  })
})

test('a large file goes up, without a key hash', async t => {
  const { root, relay, up } = await startPair(t)
  const file = sign('n1/n2/f', Buffer.alloc(1_000_000, 'x'))
  assert.equal(await relay.put(file), 'stored')
  assert.ok(readFileSync(join(root.folder, 'shared-files/n1/files/n2/f')).equals(file.content))
  assert.equal(up.requests[0]?.headers['treeline-source-key-hash'], undefined)
  assert.deepEqual(readdirSync(join(relay.folder, 'shared-files/.incoming~')), [])
})

test('a refusal is passed on with its status', async t => {
  const { relay } = await startPair(t)
  await assert.rejects(
    relay.put(sign('nobody/n2/f', 'x')),
    (error: unknown) => error instanceof HopRefusedError && error.status === 404 && error.message.includes('nobody')
  )
  assert.equal((await relay.files.status()).outboxPending, 0)
})

test('a file is not sent back to the relay that sent it', async t => {
  const { root, relay } = await startPair(t)
  await assert.rejects(
    root.put(sign('n2/n1/f', 'x'), { origin: originOf(BELOW, ['relay']) }),
    withCode('LOOP_DETECTED')
  )
  await assert.rejects(relay.put(sign('n1/n2/f', 'x'), { origin: originOf(ABOVE) }), withCode('LOOP_DETECTED'))
})

test('an existing relay that does not know the source: the file is kept here, and HEAD and GET find it', async t => {
  const down = new TestHop('relay')
  down.dialect = RELAYD
  down.answer = () => outcome(404, 'unknown node')
  const root = await startSharedFiles(t, { hops: [down] })
  const file = sign('n2/n1/f', 'hello')
  assert.equal(await root.head(file), false)
  assert.equal(await root.put(file), 'stored')
  assert.equal(readFileSync(join(root.folder, 'shared-files/relay/shared-files/n2/files/n1/f'), 'utf8'), 'hello')
  assert.equal(await root.head(file), true)
  const kept = await root.files.get(file.key, originOf(), {})
  assert.equal(kept.kind, 'kept')
})

test('a 404 that is not from our relay itself means that it was not reached', async t => {
  const down = new TestHop('relay')
  down.answer = () => outcome(404, 'the proxy says so')
  const root = await startSharedFiles(t, { hops: [down] })
  assert.equal(await root.put(sign('n2/n1/f', 'x')), 'pending')
  down.answer = () => relayOutcome(404, 'gone')
  root.clock.nowMs += 5_000
  await assert.rejects(root.put(sign('n2/n1/g', 'x')), HopRefusedError)
})

test('HEAD through a hop that is away is answered from the outbox', async t => {
  const { root, down } = await startPair(t)
  const file = sign('n2/n1/f', 'x')
  down.goAway()
  assert.equal(await root.head(file), false)
  assert.equal(await root.put(file), 'pending')
  assert.equal(await root.head(file), true)
  assert.equal(await root.head(file, 'ff'), false)
  assert.equal(await root.head(sign('n2/n1/other', 'x')), false)
})

test('HEAD answers 400 and 404 as the contract has it', async t => {
  const { root } = await startPair(t)
  assert.throws(
    () => root.files.head({ target: '..', source: 'n1', fileId: 'f' }, 'ff', originOf()),
    withCode('INVALID_INPUT')
  )
  assert.throws(
    () => root.files.head({ target: 'n1', source: '..', fileId: 'f' }, '', originOf()),
    withCode('INVALID_INPUT')
  )
  assert.throws(
    () => root.files.head({ target: 'zz', source: 'n1', fileId: 'f' }, 'ff', originOf()),
    withCode('UNKNOWN_NODE')
  )
})

test('GET is for the target, the relays above it, the policy server, and local callers for what is kept here', async t => {
  const { root, relay } = await startPair(t)
  const file = sign('n2/n1/f', 'x')
  await root.put(file)
  const get = (kind: Caller['kind'], id?: string, files = root.files, key = file.key) =>
    files.get(key, originOf({ kind, address: '::1', ...(id !== undefined && { id }) }), {})
  assert.equal((await get('node', 'n2')).kind, 'relayed')
  assert.equal((await get('policy-server')).kind, 'relayed')
  assert.equal((await get('local', undefined, relay.files)).kind, 'kept')
  await assert.rejects(get('local'), withCode('FORBIDDEN'))
  await assert.rejects(get('node', 'n1'), withCode('FORBIDDEN'))
  await assert.rejects(get('network'), withCode('FORBIDDEN'))
  await assert.rejects(get('proxied'), /trusted_proxies/)
  assert.equal((await get('relay', 'relay')).kind, 'relayed')
  await assert.rejects(get('node', 'n2', root.files, { ...file.key, fileId: 'g' }), withCode('NOT_FOUND'))
  await assert.rejects(get('local', undefined, relay.files, { ...file.key, target: 'n1' }), withCode('UNKNOWN_NODE'))
})
