import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PROTOCOL_VERSIONS } from '../../src/values/protocol-version.js'
import { eventually } from '../support/eventually.js'
import { treeline } from '../support/machine/treeline-command.js'
import { ask, postForm } from '../support/network/http.js'
import { startTree } from '../support/relays/relay-tree.js'

interface ShownLink {
  readonly link: string
  readonly kind: string
  readonly id: string
  readonly remote_address: string
  readonly connected_at: string
  readonly streams: number
  readonly lanes: number
  readonly received: number
  readonly sent: number
  readonly program: string
  readonly version: number
}

test('links are listed and closed, and a relay says whether its own one stands', async t => {
  const startedAtMs = Date.now()
  const tree = await startTree(t, {
    relays: [
      { id: 'root', under: 'root', nodes: ['node-r1'] },
      { id: 'relay-a', under: 'root', nodes: ['node-a1'], byLink: true }
    ],
    settings: { links: ['ping_interval = "3s"'] }
  })
  const [root, below] = [tree.relay('root'), tree.relay('relay-a')]
  const list = async (query = ''): Promise<{ result: ShownLink[]; next?: string }> =>
    JSON.parse((await ask(root, `/v1/relay/links${query}`)).text)
  const only = () => eventually('the link', async () => (await list()).result[0])
  const ready = async (relay = below) => {
    const { status, text } = await ask(relay, '/v1/system/ready')
    return [status, JSON.parse(text)]
  }
  const first = await eventually('a link that was used', async () => {
    const link = await only()
    return link.received > 0 && link.sent > 0 && link.lanes > 0 && link
  })

  await t.test('what is shown of a link', async () => {
    assert.deepEqual([first.kind, first.id, first.version], ['relay', 'relay-a', PROTOCOL_VERSIONS.newest])
    assert.match(first.remote_address, /^127\.0\.0\.\d+:\d+$/)
    assert.match(first.program, /^\d+\.\d+\.\d+/)
    assert.ok(Date.parse(first.connected_at) >= startedAtMs && Date.parse(first.connected_at) <= Date.now())
    assert.ok(first.received > 0 && first.sent > 0)
    assert.equal(first.lanes, 1, 'the lane on which it tells of its clients')
    await eventually('no request under way', async () => (await only()).streams === 0)
  })

  await t.test('a page at a time', async () => {
    assert.equal((await list('?limit=1')).next, first.link)
    assert.deepEqual(await list(`?after=${first.link}`), { result: [] })
    assert.equal((await ask(root, '/v1/relay/links?limit=0')).status, 400)
  })

  await t.test('one that is closed comes again', async () => {
    const closed = await ask(root, '/v1/relay/links/relay-a', { method: 'DELETE' })
    assert.equal(closed.status, 200, closed.text)
    assert.equal(JSON.parse(closed.text).result[0].link, first.link)
    const next = await eventually('another link', async () => {
      const link = await only()
      return link.link !== first.link && link
    })
    assert.notEqual(next.remote_address, first.remote_address)
    for (const id of ['node-r1', 'nobody']) {
      const unknown = await ask(root, `/v1/relay/links/${id}`, { method: 'DELETE' })
      assert.equal(unknown.status, 404)
      assert.match(unknown.text, /holds no link/)
    }
    assert.equal((await ask(root, '/v1/relay/links/a%2fb', { method: 'DELETE' })).status, 400)
  })

  await t.test('on the command line', async () => {
    const asked = ['--server', root.localUrl]
    const shown = await treeline(t, ['links', 'list', ...asked])
    assert.match(shown.stdout, /^KIND +ID +FROM.*\nrelay +relay-a +127\.0\.0\.\d+:\d+ +\d{4}-/, shown.stderr)
    const json = await treeline(t, ['links', 'list', '--json', ...asked])
    const [before] = JSON.parse(json.stdout)
    assert.equal(before.id, 'relay-a')
    const closed = await treeline(t, ['links', 'close', 'relay-a', ...asked])
    assert.equal(closed.stdout, `closed: relay-a from ${before.remote_address}\n`, closed.stderr)
    const unknown = await treeline(t, ['links', 'close', 'nobody', ...asked])
    assert.equal(unknown.code, 1)
    assert.match(unknown.stderr, /holds no link/)
  })

  await t.test('metrics', async () => {
    const { link } = await only()
    const { text } = await ask(root, '/v1/system/metrics')
    assert.match(text, /^treeline_links\{kind="relay"\} 1$/m)
    assert.match(text, /^treeline_links\{kind="client"\} 0$/m)
    assert.match(text, /^treeline_links_opened_total\{kind="relay"\} 3$/m)
    assert.match(text, /^treeline_links_closed_total\{kind="relay"\} 2$/m)
    assert.doesNotMatch(text, /^treeline_own_link_connected /m)
    await eventually('a ping', async () => 'rtt_ms' in (await only()))
    const pinged = /^treeline_link_round_trip_seconds_count\{kind="relay"\} [1-9]/m
    assert.match((await ask(root, '/metrics')).text, pinged)
    const received = () => ask(root, '/metrics').then(answer => bytesIn(answer.text))
    for (let run = 0; run < 5; run += 1) await postForm(root, '/remote-run/all', { keep_output: 'true' })
    const before = await received()
    await ask(root, '/v1/relay/links/relay-a', { method: 'DELETE' })
    await eventually('another link', async () => (await only()).link !== link)
    assert.ok((await received()) >= before, 'those of closed links count too')
    await eventually('the link', async () => (await ready())[0] === 200)
    assert.match((await ask(below, '/metrics')).text, /^treeline_own_link_connected 1$/m)
  })

  await t.test('alive, and ready while its own link stands', async () => {
    const alive = await ask(below, '/v1/system/alive', { as: null })
    assert.deepEqual([alive.status, JSON.parse(alive.text)], [200, { status: 'alive' }])
    assert.deepEqual(await ready(root), [200, { status: 'ready' }])
    assert.deepEqual(await ready(), [200, { status: 'ready' }])
    await tree.processes.get('root')?.stop()
    const reason = 'the link to the policy server does not stand'
    await eventually('the loss', async () => (await ready())[0] === 500)
    assert.deepEqual(await ready(), [500, { status: 'not ready', reason }])
    assert.equal((await ask(below, '/v1/system/alive')).status, 200)
    assert.match((await ask(below, '/metrics')).text, /^treeline_own_link_connected 0$/m)
    await tree.restart('root')
    await eventually('the link', async () => (await ready())[0] === 200)
  })
})

function bytesIn(text: string): number {
  return Number(/^treeline_link_bytes_total\{direction="received"\} (\d+)$/m.exec(text)?.[1])
}
