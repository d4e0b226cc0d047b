import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../support/eventually.js'
import { MINUTES } from '../support/long.js'
import { ask } from '../support/network/http.js'
import { proxyUpstream } from '../support/relays/relay-behind-proxy.js'
import { startTree } from '../support/relays/relay-tree.js'
import { chooseSeed, seededRandom } from '../support/seeded-random.js'
import { NOTING_AGENT, StreamOfWork } from '../support/work/stream-of-work.js'

const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1'] },
  { id: 'relay-a', under: 'root', nodes: ['node-a1'], byLink: true },
  { id: 'sub', under: 'relay-a', nodes: ['node-s1'], byLink: true }
]
/** Longer than both sides take to notice; TREELINE_MINUTES makes it longer still. */
const PARTITION_MS = Math.max(4_000, (MINUTES ?? 0) * 60_000)

test('a partition between the root and a relay that only a link reaches, with work going on at both sides', async t => {
  const tree = await startTree(t, {
    relays: RELAYS,
    absent: ['relay-a', 'sub'],
    agent: NOTING_AGENT,
    settings: {
      links: ['ping_interval = "1s"', 'longest_wait = "1s"'],
      general: ['connect_timeout = "1s"', 'response_timeout = "1s"']
    }
  })
  const root = tree.relay('root')
  const proxy = await proxyUpstream(t, tree, 'relay-a')
  await tree.restart('relay-a')
  await tree.restart('sub')
  const links = async () => JSON.parse((await ask(root, '/v1/relay/links')).text).result.length
  await eventually('the link', async () => (await links()) === 1)

  const work = new StreamOfWork({
    tree,
    ways: [
      { at: 'root', source: 'node-r1', target: 'node-a1', keeper: 'relay-a' },
      { at: 'root', source: 'node-r1', target: 'node-s1', keeper: 'sub' },
      { at: 'relay-a', source: 'node-a1', target: 'node-r1', keeper: 'root' },
      { at: 'sub', source: 'node-s1', target: 'node-r1', keeper: 'root' }
    ],
    runs: [
      { at: 'root', node: 'node-s1' },
      { at: 'relay-a', node: 'node-a1' }
    ],
    random: seededRandom(chooseSeed()),
    label: 'file'
  })
  proxy.silence()
  await eventually('the root to notice', async () => (await links()) === 0)
  await sleep(PARTITION_MS)
  assert.equal(await links(), 0)
  proxy.heal()
  await eventually('the link', async () => (await links()) === 1)
  proxy.delay(100)
  await sleep(1_000)
  proxy.delay(0)
  proxy.halve()
  await sleep(1_000)
  proxy.cut()
  await eventually('the link', async () => (await links()) === 1)
  proxy.silence()
  await sleep(300)
  proxy.heal()
  await sleep(500)
  await work.stop()
  await eventually('the link', async () => (await links()) === 1)
  await work.check()
  t.diagnostic(JSON.stringify(work.counts))
  assert.ok((work.counts['PUT 202'] ?? 0) > 0 && (work.counts['PUT 200'] ?? 0) > 0)
})
