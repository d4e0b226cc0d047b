import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeAgentCertificate } from '../../demo/pki.js'
import { treelineCommand } from '../../demo/relay-process.js'
import type { RelaySpec, TreeMember, TreeRelay } from '../../demo/relay-tree.js'
import { eventually } from '../support/eventually.js'
import { ask } from '../support/network/http.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { editConfig, editNodesList, type ListedNode } from '../support/relays/tree-files.js'

const MANY = Array.from({ length: 40 }, (_, index) => `node-m${index}`)

function relays(byLink: boolean): RelaySpec[] {
  return [
    { id: 'root', under: 'root', nodes: ['node-r1'] },
    { id: 'relay-a', under: 'root', nodes: ['node-a1'], byLink },
    { id: 'sub', under: 'relay-a', nodes: ['node-s1', 'node-s2', ...MANY], byLink },
    { id: 'relay-b', under: 'root', nodes: ['node-b1'] }
  ]
}

/** Three levels, of which only the root has a nodes list of its own. */
async function startSyncedTree(t: TestContext, byLink: boolean, refresh = '1h'): Promise<RunningTree> {
  const specs = relays(byLink)
  const tree = await startTree(t, { relays: specs, absent: specs.map(({ id }) => id) })
  for (const id of ['relay-a', 'sub']) {
    const relay = tree.relay(id)
    await editConfig(relay, text => {
      // on a slow machine a relay is away for so long that the next try would come after the test has given up
      const linked = text.replace('dial = true', 'dial = true\nlongest_wait = "1s"')
      return `${linked}\n[tree]\nsource = "policy-server"\nrefresh = "${refresh}"\n`
    })
    for (const file of ['nodeslist.json', 'allnodescerts.pem']) await rm(join(relay.directory, file))
  }
  await Promise.all(['root', 'relay-b'].map(id => tree.restart(id)))
  return tree
}

async function nodesOf(relay: TreeRelay): Promise<string[]> {
  const answer = await ask(relay, '/nodes')
  if (answer.status === 503) return [] // it has no tree yet
  const { nodes }: { nodes: { id: string }[] } = JSON.parse(answer.text)
  return nodes.map(({ id }) => id).sort()
}

async function nodesStatus(relay: TreeRelay) {
  const { data } = JSON.parse((await ask(relay, '/system/status')).text)
  return data.nodes
}

async function metric(relay: TreeRelay, name: string): Promise<number> {
  const { text } = await ask(relay, '/metrics')
  const line = text.split('\n').find(candidate => candidate.startsWith(`${name} `))
  return Number(line?.split(' ')[1] ?? 0)
}

async function changeRoot(tree: RunningTree, edit: (nodes: Record<string, ListedNode>) => void): Promise<void> {
  const root = tree.relay('root')
  await editNodesList(root, edit)
  const answer = await ask(root, '/system/reload', { method: 'POST' })
  assert.equal(answer.status, 200, answer.text)
}

function untilHas(relay: TreeRelay, id: string, wanted = true): Promise<true> {
  return eventually(`${id} ${wanted ? 'at' : 'gone from'} ${relay.id}`, async () => {
    return (await nodesOf(relay)).includes(id) === wanted
  })
}

const SUBS = ['sub', 'node-s1', 'node-s2', ...MANY].sort()

for (const byLink of [true, false]) {
  test(`three levels get their trees ${byLink ? 'told over links' : 'told and asked directly'}`, async t => {
    const tree = await startSyncedTree(t, byLink)
    const root = tree.relay('root')
    const sub = tree.relay('sub')
    const relayA = tree.relay('relay-a')

    await t.test('a list that is yet to come is no mistake', () => {
      const { program, args } = treelineCommand(['serve', '--test', '--config', relayA.directory])
      const { status, stdout } = spawnSync(program, args, { encoding: 'utf8' })
      assert.equal(status, 0)
      assert.match(stdout, /the configuration is in order/)
    })

    await t.test('each its own part, itself among it, with certificates and keys', async () => {
      await tree.restart('relay-a')
      await untilHas(relayA, 'node-s1')
      await tree.restart('sub')
      await untilHas(sub, 'node-s1')
      assert.deepEqual(await nodesOf(relayA), ['node-a1', 'relay-a', ...SUBS].sort())
      assert.deepEqual(await nodesOf(sub), SUBS)
      const atRoot = JSON.parse((await ask(root, '/nodes/node-s1')).text)
      assert.equal(atRoot.certificates.length, 1)
      assert.deepEqual(JSON.parse((await ask(sub, '/nodes/node-s1')).text), atRoot)
      const status = await nodesStatus(sub)
      assert.equal(status.status, 'success')
      assert.match(status.sync.version, /^[0-9a-f]{64}$/)
      assert.ok(Date.parse(status.sync.synced_at) > 1_600_000_000_000 && status.sync.age_seconds >= 0)
      assert.equal(status.sync.problem, undefined)
      assert.ok((await metric(sub, 'treeline_tree_synced_timestamp_seconds')) > 1_600_000_000)
    })

    await t.test('a change at the root reaches the lowest relay at once, and only the change is sent', async () => {
      const before = await metric(sub, 'treeline_tree_sync_bytes_total')
      assert.ok(before > 10_000, `${before} bytes for the whole`)
      await changeRoot(tree, nodes => {
        nodes['node-new'] = { hostname: 'node-new.example.test', 'policy-server': 'sub' }
        delete nodes['node-s2']
        if (nodes['node-s1'] !== undefined) nodes['node-s1'].hostname = 'renamed.example.test'
      })
      await untilHas(sub, 'node-new')
      const now = await nodesOf(sub)
      assert.deepEqual(now, [...SUBS.filter(id => id !== 'node-s2'), 'node-new'].sort())
      assert.equal(JSON.parse((await ask(sub, '/nodes/node-s1')).text).hostname, 'renamed.example.test')
      const sent = (await metric(sub, 'treeline_tree_sync_bytes_total')) - before
      assert.ok(sent > 0 && sent < before / 5, `${sent} bytes for three nodes, ${before} for all`)
      assert.equal(await metric(sub, 'treeline_tree_syncs_total{outcome="whole"}'), 1)
      assert.equal(await metric(sub, 'treeline_tree_syncs_total{outcome="difference"}'), 1)
    })

    await t.test('a change elsewhere is none of its business', async () => {
      const bytes = await metric(relayA, 'treeline_tree_sync_bytes_total')
      await changeRoot(tree, nodes => {
        nodes['node-b2'] = { hostname: 'b2.example.test', 'policy-server': 'relay-b' }
      })
      await changeRoot(tree, nodes => {
        nodes['node-a2'] = { hostname: 'a2.example.test', 'policy-server': 'relay-a' }
      })
      await untilHas(relayA, 'node-a2')
      assert.equal((await nodesOf(relayA)).includes('node-b2'), false)
      assert.ok((await metric(relayA, 'treeline_tree_sync_bytes_total')) - bytes < 1_000)
    })

    await t.test('a renewed certificate counts below', async () => {
      const renewed = await makeAgentCertificate({ nodeId: 'node-s1', hostname: 'x', kind: 'ec' })
      const file = join(root.directory, 'allnodescerts.pem')
      const pem = await readFile(file, 'utf8')
      await writeFile(file, pem.replace(tree.member('node-s1').certificate.certificatePem, renewed.certificatePem))
      await changeRoot(tree, () => undefined)
      await eventually('the certificate', async () => {
        const { certificates } = JSON.parse((await ask(sub, '/nodes/node-s1')).text)
        return certificates.length === 1 && certificates[0].fingerprint === renewed.fingerprint
      })
    })

    await t.test('cut off, started anew, it goes on with the last one, and catches up', async () => {
      const before = await nodesOf(sub)
      await tree.processes.get('relay-a')?.stop()
      const killed = tree.processes.get('sub')
      killed?.signal('SIGKILL')
      await killed?.ended
      await tree.restart('sub')
      const status = await eventually('a failed attempt', async () => {
        const shown = await nodesStatus(sub)
        return shown.sync.problem !== 'not asked yet' && shown
      })
      assert.equal(status.status, 'success', 'being cut off is no error')
      assert.match(status.sync.problem, /127\.0\.0\.1|policy/)
      assert.deepEqual(await nodesOf(sub), before)
      await changeRoot(tree, nodes => {
        nodes['node-late'] = { hostname: 'late.example.test', 'policy-server': 'sub' }
      })
      await tree.restart('relay-a')
      await untilHas(relayA, 'node-late')
      if (!byLink) await tree.processes.get('sub')?.stop()
      if (!byLink) await tree.restart('sub')
      await untilHas(sub, 'node-late')
      assert.equal((await nodesStatus(sub)).sync.problem, undefined)
    })

    await t.test('a kill between the two files is mended at the next start', async () => {
      const before = await nodesOf(sub)
      const folder = join(sub.storagePath, 'tree')
      const killed = tree.processes.get('sub')
      killed?.signal('SIGKILL')
      await killed?.ended
      await rename(join(folder, 'nodeslist.json'), join(folder, 'nodeslist.json.new'))
      await writeFile(join(folder, 'nodeslist.json'), '{"half')
      await writeFile(join(folder, 'allnodescerts.pem.part'), 'half')
      await tree.processes.get('relay-a')?.stop()
      await tree.restart('sub')
      assert.deepEqual(await nodesOf(sub), before)
      assert.equal((await nodesStatus(sub)).status, 'success')
      assert.equal(existsSync(join(folder, 'allnodescerts.pem.part')), false)
      await tree.restart('relay-a')
      await untilHas(relayA, 'sub')
    })
  })
}

test('by the clock alone, where nobody can tell it', async t => {
  const tree = await startSyncedTree(t, false, '1s')
  await editConfig(tree.relay('root'), text => text.replace(/^"relay-a" = .*$/m, ''))
  await tree.restart('relay-a')
  await tree.processes.get('root')?.stop()
  await tree.restart('root')
  const relayA = tree.relay('relay-a')
  await untilHas(relayA, 'node-a1')
  await changeRoot(tree, nodes => {
    nodes['node-a2'] = { hostname: 'a2.example.test', 'policy-server': 'relay-a' }
  })
  await untilHas(relayA, 'node-a2')
  const unchanged = 'treeline_tree_syncs_total{outcome="unchanged"}'
  const bytes = await metric(relayA, 'treeline_tree_sync_bytes_total')
  const asked = await metric(relayA, unchanged)
  await eventually('two more looks', async () => (await metric(relayA, unchanged)) >= asked + 2)
  assert.equal(await metric(relayA, 'treeline_tree_sync_bytes_total'), bytes)
})

test('who gets which part', async t => {
  const tree = await startSyncedTree(t, false)
  const root = tree.relay('root')
  const get = async (as: TreeMember | undefined, path = '/v1/tree', headers: Record<string, string> = {}) =>
    ask(root, path, { headers, ...(as === undefined ? {} : { as }) })
  const idsIn = (text: string) =>
    text
      .trim()
      .split('\n')
      .map(line => JSON.parse(line).id)
      .filter(id => id !== undefined)
      .sort()

  await t.test('its own, or that of one below to local callers', async () => {
    const own = await get(tree.member('relay-a'))
    assert.equal(own.status, 200)
    assert.match(String(own.headers['content-type']), /^application\/x-ndjson/)
    assert.deepEqual(idsIn(own.text), ['node-a1', 'relay-a', ...SUBS].sort())
    const [header = ''] = own.text.split('\n')
    assert.equal(`"${JSON.parse(header).version}"`, own.headers.etag)
    assert.deepEqual(idsIn((await get(tree.member('sub'))).text), SUBS)
    assert.deepEqual(idsIn((await get(tree.member('node-r1'))).text), ['node-r1'])
    const local = await get(undefined, '/v1/tree?relay=relay-a')
    assert.equal(local.text, own.text)
    assert.equal(idsIn((await get(undefined)).text).length, tree.members.size)
    assert.equal((await get(undefined, '/v1/tree?relay=nobody')).status, 404)
    assert.equal((await get(undefined, '/v1/tree?relay=..')).status, 400)
  })

  await t.test('nobody else', async () => {
    const certificate = await makeAgentCertificate({ nodeId: 'relay-a', hostname: 'x', kind: 'ec' })
    assert.equal((await get(tree.member('relay-a'), '/v1/tree?relay=relay-b')).status, 403)
    assert.equal((await get(tree.member('relay-a'), '/v1/tree?relay=root')).status, 403)
    assert.equal((await get(tree.member('node-s1'))).status, 403, 'managed elsewhere')
    assert.equal((await get(tree.member('root'))).status, 403, 'the root itself')
    assert.equal((await get({ ...tree.member('relay-a'), certificate })).status, 403, 'a certificate that nobody knows')
    assert.equal((await get(undefined, '/v1/tree', { 'x-forwarded-for': '192.0.2.1' })).status, 403)
  })

  await t.test('304 for the version that it has', async () => {
    const { etag = '' } = (await get(tree.member('relay-a'))).headers
    const same = await get(tree.member('relay-a'), '/v1/tree', { 'if-none-match': `W/"x", ${etag}` })
    assert.deepEqual([same.status, same.text, same.headers.etag], [304, '', etag])
    const other = await get(tree.member('relay-b'), '/v1/tree', { 'if-none-match': etag })
    assert.equal(other.status, 200)
    const unknown = await get(tree.member('relay-a'), `/v1/tree?since=${'0'.repeat(64)}`)
    assert.equal(JSON.parse(unknown.text.split('\n')[0] ?? '').base, undefined)
  })

  await t.test('only the policy server may tell of a change, and only to a relay that wants to know', async () => {
    const tell = (as: TreeMember | undefined) =>
      ask(tree.relay('relay-b'), '/v1/tree/changed', { method: 'POST', ...(as === undefined ? {} : { as }) })
    assert.equal((await tell(undefined)).status, 403)
    assert.equal((await tell(tree.member('node-b1'))).status, 403)
    const told = await tell(tree.member('root'))
    assert.equal(told.status, 403)
    assert.match(told.text, /tree\.source/)
  })
})
