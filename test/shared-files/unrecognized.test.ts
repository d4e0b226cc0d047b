import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LINK_HEADER } from '../../src/network/header-names.js'
import { HopRefusedError } from '../../src/values/failures/relay-error.js'
import { relayOutcome } from '../support/parts/outboxes.js'
import { sign, startSharedFiles, TestHop } from '../support/parts/shared-file-relays.js'
import { AT_OLD, content, isThere, SIGNAL, TREE, until } from '../support/relays/existing-relays.js'

test('a relay of ours that does not recognize this one: the file is kept for it, until it holds a link', async t => {
  const down = new TestHop('old')
  down.answer = () => relayOutcome(421, 'unknown source')
  const relay = await startSharedFiles(t, { nodes: TREE, hops: [down] })
  relay.files.start()
  const [file, next] = [sign('n2/n1/f', 'hello'), sign('n2/n1/next', 'x')]
  assert.equal(await relay.put(file), 'stored')
  assert.equal(content(relay, AT_OLD), 'hello')
  assert.equal(await relay.head(file), true)
  await relay.files.purgeExpired(SIGNAL)
  assert.equal(content(relay, AT_OLD), 'hello')

  const received: string[] = []
  down.isLinked = true
  down.answer = (_, body) => {
    received.push(String(body.subarray(-5)))
    return relayOutcome(200)
  }
  relay.files.hopIsBack('old')
  await until(async () => received.length === 1 && (await relay.files.status()).outboxPending === 0)
  assert.deepEqual(received, ['hello'])
  assert.deepEqual([isThere(relay, AT_OLD), (await relay.files.status()).bytes], [false, 0])
  assert.equal(await relay.put(next), 'stored')
  assert.equal((await relay.files.status()).files, 0)
})

test('one that says that it will hold a link: the file waits for that, unless this relay takes none', async t => {
  for (const takesLinks of [true, false]) {
    const down = new TestHop('old')
    down.answer = () => relayOutcome(421, 'unknown source', { [LINK_HEADER]: 'expected' })
    const relay = await startSharedFiles(t, { nodes: TREE, hops: [down], more: { takesLinks } })
    relay.files.start()
    const [file, more] = [sign('n2/n1/f', 'hello'), sign('n2/n1/more', 'x')]
    assert.equal(await relay.put(file), takesLinks ? 'pending' : 'stored')
    assert.equal(await relay.head(file), true)
    if (!takesLinks) continue
    assert.equal(await relay.put(more), 'pending')
    const why = (await relay.files.outbox.list()).find(({ key }) => key.fileId === 'f')?.lastError
    assert.match(why ?? '', /old does not recognize this relay/)
    down.isLinked = true
    down.answer = () => relayOutcome(200)
    relay.files.hopIsBack('old')
    await until(async () => (await relay.files.status()).outboxPending === 0)
    assert.equal((await relay.files.status()).files, 0)
  }
})

test('what was answered 202 and is refused later is failed, and stays until its ttl ends', async t => {
  const down = new TestHop('old')
  const relay = await startSharedFiles(t, { nodes: TREE, hops: [down] })
  relay.files.start()
  const file = sign('n2/n1/f', 'hello')
  assert.equal(await relay.put(file, { query: { ttl: '1h' } }), 'pending')
  down.answer = ({ method }) => relayOutcome(method === 'PUT' ? 403 : 404, 'bad signature')
  await relay.files.outbox.retry()
  await until(async () => (await relay.files.status()).outboxFailed === 1)
  assert.equal(await relay.head(file), false)
  relay.clock.nowMs += 3_599_000
  await relay.files.purgeExpired(SIGNAL)
  const [entry] = await relay.files.outbox.list()
  assert.deepEqual([entry?.state, entry?.lastError], ['failed', 'bad signature'])
  await assert.rejects(relay.put(file), HopRefusedError)
  assert.equal((await relay.files.status()).outboxFailed, 1)
  relay.clock.nowMs += 1_000
  assert.equal(await relay.files.purgeExpired(SIGNAL), 1)
})
