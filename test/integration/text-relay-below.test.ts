import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ask, postForm } from '../support/network/http.js'
import { startMixedTree } from '../support/relays/text-relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1'] },
  { id: 'old', under: 'root', nodes: ['node-o1', 'node-o2'] },
  { id: 'relay-b', under: 'root', nodes: ['node-b1'] }
]

test('an existing relay below ours', async t => {
  const { tree, text } = await startMixedTree(t, { relays: RELAYS, textRelay: 'old' })
  const [root, relayB] = ['root', 'relay-b'].map(id => tree.relay(id))
  assert.ok(root !== undefined && relayB !== undefined)
  const old = { ...tree.relay('old'), url: `https://127.0.0.1:${text.port}` }
  const outcomesOf = async (runId: unknown) => {
    const { node_records: nodes } = JSON.parse((await ask(root, `/runs/${runId}`)).text)
    return Object.fromEntries(nodes.map(({ node, outcome }: { node: string; outcome: string }) => [node, outcome]))
  }

  await t.test('a file from a source that it knows goes to it, over pinned TLS', async () => {
    const file = signContent('node-o1', tree.member('node-o2'), 'known', 'x')
    assert.equal((await ask(root, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })).status, 200)
    const kept = text.files.get('node-o1/node-o2/known')
    assert.equal(String(kept?.bytes), 'x')
    assert.match(kept?.ttl ?? '', /^3(600|599|598)$/)
    const put = text.requests.find(({ method }) => method === 'PUT')
    assert.match(put?.url ?? '', /^\/rudder\/relay-api\/shared-files\/node-o1\/node-o2\/known\?ttl=\d+$/)
    assert.equal(put?.headers['content-type'], 'application/octet-stream')
    assert.equal(put?.headers['content-length'], String(put?.body.length))
    for (const relay of [root, relayB]) {
      assert.equal((await ask(relay, `${file.path}?hash=${file.hash}`, { method: 'HEAD' })).status, 200)
    }
  })

  await t.test('a file from anyone else is kept above it, where its agent fetches it', async () => {
    const file = signContent('node-o1', tree.member('node-b1'), 'foreign', 'content')
    const head = (relay: typeof root) => ask(relay, `${file.path}?hash=${file.hash}`, { method: 'HEAD' })
    assert.equal((await head(relayB)).status, 404)
    const put = await ask(relayB, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
    assert.equal(put.status, 200, put.text)
    assert.equal(text.files.has('node-o1/node-b1/foreign'), false)
    const path = join(root.sharedFilesPath, 'old/shared-files/node-o1/files/node-b1/foreign')
    assert.equal(await readFile(path, 'utf8'), 'content')
    assert.match(await readFile(`${path}.metadata`, 'utf8'), /^expires=\d+$/m)
    for (const relay of [root, relayB]) assert.equal((await head(relay)).status, 200, relay.id)
    assert.equal((await ask(root, file.path, { as: tree.member('node-o1') })).text, 'content')
    assert.equal((await ask(root, file.path)).text, 'content')
  })

  await t.test('its refusals reach the sender: a file signed with Ed25519 or sha1 is nothing for it', async () => {
    const file = signContent('node-o1', tree.member('node-o2'), 'sha1', 'x', 'sha1')
    const put = await ask(root, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
    assert.equal(put.status, 400)
    assert.match(put.text, /invalid algorithm sha1/)
  })

  await t.test('a remote run: its text is passed on, what became of its nodes is unknown', async () => {
    for (const asynchronous of ['true', 'false']) {
      const form = { keep_output: 'true', asynchronous, conditions: 'one,two' }
      const answer = await postForm(root, '/remote-run/all', form)
      assert.equal(answer.status, 200)
      for (const line of ['output of node-o1', 'output of node-o2', 'agent of node-b1.example.test']) {
        assert.match(answer.text, new RegExp(`^${line}$`, 'm'))
      }
      assert.doesNotMatch(answer.text, /^error/m)
      const outcomes = await outcomesOf(answer.headers['treeline-run-id'])
      assert.deepEqual([outcomes['node-o1'], outcomes['node-o2']], ['unknown', 'unknown'])
      assert.deepEqual([outcomes.old, outcomes['node-b1'], outcomes.root], ['done', 'done', 'done'])
    }
    assert.deepEqual(text.runs[0], { node: 'node-o1', conditions: ['one', 'two'] })
    const asked = text.requests.filter(({ url }) => url.endsWith('/remote-run/all'))
    assert.equal(asked.length, 2)
    const form = new URLSearchParams(String(asked[0]?.body))
    assert.deepEqual([...form.keys()].sort(), ['asynchronous', 'classes', 'keep_output'])
  })

  await t.test('a list: it is asked for its own nodes alone, classes always there', async () => {
    const form = { nodes: 'node-o2,node-b1,node-r1', keep_output: 'true' }
    const answer = await postForm(root, '/remote-run/nodes', form)
    assert.match(answer.text, /^output of node-o2$/m)
    const [asked] = text.requests.filter(({ url }) => url.endsWith('/remote-run/nodes'))
    const sent = Object.fromEntries(new URLSearchParams(String(asked?.body)))
    assert.deepEqual(sent, { keep_output: 'true', asynchronous: 'false', classes: '', nodes: 'node-o2' })
    const silent = await postForm(root, '/remote-run/nodes/node-o1', {})
    assert.deepEqual([silent.status, silent.text], [200, ''])
    const events = await postForm(
      root,
      '/remote-run/nodes/node-o1',
      {},
      { headers: { accept: 'application/x-ndjson' } }
    )
    const last = events.text
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    assert.ok(last.some(({ node, outcome }) => node === 'node-o1' && outcome === 'unknown'))
  })

  await t.test('it hands a file for another branch up, without type, credentials or certificate', async () => {
    const file = signContent('node-b1', tree.member('node-o1'), 'up', 'from below')
    const put = await ask(old, `${file.path}?ttl=60`, { method: 'PUT', body: file.body, as: null })
    assert.equal(put.status, 200, put.text)
    assert.equal((await ask(relayB, file.path)).text, 'from below')
    const head = await ask(old, `${file.path}?hash=${file.hash}`, { method: 'HEAD', as: null })
    assert.equal(head.status, 200)
    const forged = Buffer.concat([file.body, Buffer.from('!')])
    assert.equal((await ask(old, `${file.path}?ttl=60`, { method: 'PUT', body: forged, as: null })).status, 403)
  })
})

test('an existing relay below whose nodes list is behind sends files back up: they end here', async t => {
  const relays = RELAYS.filter(({ id }) => id !== 'relay-b')
  const { tree, text } = await startMixedTree(t, { relays, textRelay: 'old', text: { nodes: new Map() } })
  const root = tree.relay('root')
  const file = signContent('node-o1', tree.member('node-r1'), 'f', 'x')
  const head = async () => (await ask(root, `${file.path}?hash=${file.hash}`, { method: 'HEAD' })).status
  assert.equal(await head(), 404)
  assert.equal(text.requests.length, 1)
  assert.equal((await ask(root, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })).status, 200)
  assert.equal(text.requests.length, 2)
  assert.equal(await head(), 200)
  assert.equal(await readFile(join(root.sharedFilesPath, 'old/shared-files/node-o1/files/node-r1/f'), 'utf8'), 'x')
})
