import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/network/http.js'
import { startTree } from '../support/relays/relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1', 'node-fails'] },
  { id: 'sub', under: 'root', nodes: ['node-s1'] }
]

test('what a relay does is counted where docs/metrics.md says', async t => {
  const settings = { 'shared_files.cleanup': ['frequency = "1s"'] }
  const tree = await startTree(t, { relays: RELAYS, absent: ['sub'], settings })
  const root = tree.relay('root')
  const sender = tree.member('node-r1')
  const make = (target: string, fileId: string) => signContent(target, sender, fileId, 'seven b')
  const put = async (file: ReturnType<typeof make>, ttl: string) =>
    (await ask(root, `${file.path}?ttl=${ttl}`, { method: 'PUT', body: file.body })).status

  /** The sum of all series of that name whose labels have all of `labels`. */
  async function sum(name: string, ...labels: readonly string[]): Promise<number> {
    const { text } = await ask(root, '/metrics')
    const series = [...text.matchAll(/^([a-z_]+)(?:\{(.*)\})? (\S+)$/gm)]
    const wanted = series.filter(([, found, of = '']) => found === name && labels.every(label => of.includes(label)))
    return wanted.reduce((total, [, , , value]) => total + Number(value), 0)
  }

  await t.test('files that are kept, asked for and purged', async () => {
    const kept = make('node-r1', 'kept')
    assert.equal(await put(kept, '1h'), 200)
    for (const hash of [kept.hash, kept.hash, '00']) await ask(root, `${kept.path}?hash=${hash}`, { method: 'HEAD' })
    for (const name of ['treeline_http_requests_total', 'treeline_http_request_duration_seconds_count']) {
      const route = 'route="/rudder/relay-api/shared-files/:target/:source/:fileId"'
      assert.equal(await sum(name, route, 'method="HEAD"', 'status="200"'), 2, name)
      assert.equal(await sum(name, route, 'method="HEAD"', 'status="404"'), 1, name)
      assert.equal(await sum(name, route, 'method="PUT"', 'status="200"'), 1, name)
    }
    assert.equal(await sum('treeline_shared_files'), 1)
    assert.equal(await sum('treeline_shared_files_bytes'), 7)
    assert.equal(await put(make('node-r1', 'short'), '1'), 200)
    assert.equal(await sum('treeline_shared_file_bytes_total'), 14)
    await eventually('the purge', async () => (await sum('treeline_purged_files_total')) === 1)
    assert.equal(await sum('treeline_shared_files'), 1)
  })

  await t.test('files that wait for a hop, and are delivered', async () => {
    assert.equal(await put(make('node-s1', 'waits'), '1h'), 202)
    assert.equal(await sum('treeline_outbox_pending'), 1)
    assert.equal(await sum('treeline_outbox_bytes'), 7)
    const unreachable = () => sum('treeline_hop_duration_seconds_count', 'hop="sub"', 'outcome="unreachable"')
    await eventually('an attempt that reached nobody', async () => (await unreachable()) >= 1)
    assert.equal(await sum('treeline_hop_duration_seconds_count', 'hop="sub"', 'outcome="answered"'), 0)
    await tree.restart('sub')
    await eventually('a delivery', async () => {
      await ask(root, '/outbox/retry', { method: 'POST' })
      return (await sum('treeline_outbox_attempts_total', 'outcome="delivered"')) === 1
    })
    assert.equal(await sum('treeline_outbox_pending'), 0)
    assert.equal(await sum('treeline_hop_duration_seconds_count', 'hop="sub"', 'outcome="answered"'), 1)
    assert.equal(await sum('treeline_shared_file_bytes_total'), 14, 'it is kept at sub')
  })

  await t.test('nodes that were run, by what became of them', async () => {
    await postForm(root, '/remote-run/all', {})
    assert.equal(await sum('treeline_run_nodes_total', 'outcome="done"'), 4)
    assert.equal(await sum('treeline_run_nodes_total'), 5)
    assert.equal(await sum('treeline_runs_running'), 0)
  })
})
