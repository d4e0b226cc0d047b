import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeRunId } from '../../src/values/runs/run-id.js'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/network/http.js'
import { startTree } from '../support/relays/relay-tree.js'
import { editNodesList } from '../support/relays/tree-files.js'
import { signContent } from '../support/work/signed-files.js'

const RUN_NODE = '/rudder/relay-api/remote-run/nodes'

test('what is believed of a request, and from whom', async t => {
  const tree = await startTree(t)
  const [root, relayA, sub, relayB] = ['root', 'relay-a', 'sub', 'relay-b'].map(id => tree.relay(id))
  assert.ok(root !== undefined && relayA !== undefined && sub !== undefined && relayB !== undefined)
  const sender = tree.member('node-b1')
  const vouched = { 'treeline-source-key-hash': sender.certificate.keyHash }
  const put = (
    relay: typeof root,
    file: { path: string; body: Buffer },
    headers: Record<string, string>,
    by?: string
  ) =>
    ask(relay, `${file.path}?ttl=1h`, {
      method: 'PUT',
      body: file.body,
      headers,
      ...(by === undefined ? {} : { as: tree.member(by) })
    })

  await t.test('the relays passed: from the policy server and from relays below, from nobody else', async () => {
    const file = signContent('node-s1', sender, 'passed', 'x')
    for (const [relay, by, passed] of [
      [root, 'relay-b', 'relay-b,root'],
      [root, 'relay-b', Array.from({ length: 41 }, (_, index) => `r${index}`).join(', ')],
      [relayA, 'root', 'root,relay-a'],
      [sub, 'relay-a', 'sub']
    ] as const) {
      const answer = await put(relay, file, { ...vouched, 'treeline-passed': passed }, by)
      assert.equal(answer.status, 508, `${by} at ${relay.id}: ${answer.text}`)
      const head = { method: 'HEAD', headers: { 'treeline-passed': passed }, as: tree.member(by) }
      assert.equal((await ask(relay, `${file.path}?hash=${file.hash}`, head)).status, 508)
    }
    const rubbish = await put(root, file, { 'treeline-passed': 'no id!' }, 'relay-b')
    assert.equal(rubbish.status, 400, rubbish.text)
    for (const [relay, by] of [
      [root, undefined],
      [root, 'node-r1'],
      [relayB, 'node-b1']
    ] as const) {
      const ignored = await put(relay, file, { 'treeline-passed': 'root,relay-a,relay-b' }, by)
      assert.equal(ignored.status, 200, `${by} at ${relay.id}: ${ignored.text}`)
    }
  })

  await t.test('a remote run that comes back is refused as well', async () => {
    const headers = { 'treeline-passed': 'sub,relay-a' }
    const answer = await postForm(sub, RUN_NODE, { nodes: 'node-s1' }, { headers, as: tree.member('relay-a') })
    assert.equal(answer.status, 508)
    assert.equal((await postForm(sub, RUN_NODE, { nodes: 'node-s1' }, { headers })).status, 200)
  })

  await t.test('the key hash of a source: from the policy server alone, and not of a node below', async () => {
    const file = signContent('node-s1', sender, 'vouched', 'x')
    for (const by of [undefined, 'node-s1', 'node-s2']) {
      const answer = await put(sub, file, vouched, by)
      assert.equal(answer.status, 404, String(by))
      assert.match(answer.text, /unknown source: node-b1/)
    }
    // One whom nothing identifies may be the policy server, before which a web server ends the TLS.
    const unknown = await put(sub, file, vouched, 'root')
    assert.deepEqual([unknown.status, unknown.headers['treeline-link']], [421, undefined])
    assert.match(unknown.text, /unknown source: node-b1 .*links\.dial/)
    assert.equal((await put(sub, file, {}, 'root')).status, 404)
    const nobody = signContent('node-s1', { ...sender, id: 'nobody' }, 'vouched', 'x')
    assert.equal(
      (await ask(root, `${nobody.path}?ttl=1h`, { method: 'PUT', body: nobody.body, headers: vouched, as: null }))
        .status,
      404
    )
    assert.equal((await put(sub, file, {}, 'relay-a')).status, 404)
    assert.equal((await put(sub, file, vouched, 'relay-a')).status, 200)
    const own = signContent('node-s1', { ...sender, id: 'node-s2' }, 'vouched', 'x')
    assert.equal((await put(sub, own, vouched, 'relay-a')).status, 404)
  })

  await t.test('when a file was first accepted: from known relays, and the older one changes nothing', async () => {
    const put3 = async (content: string, acceptedAt: number, by?: string, series?: string) => {
      const file = signContent('node-s1', tree.member('node-s2'), 'accepted', content)
      const inSeries = series === undefined ? {} : { 'treeline-accepted-in': series }
      const answer = await put(sub, file, { 'treeline-accepted-at': String(acceptedAt), ...inSeries }, by)
      assert.equal(answer.status, 200)
      const state = answer.headers['treeline-state'] ?? 'stored'
      return `${state}: ${(await ask(sub, file.path)).text}`
    }
    const now = Date.now()
    assert.equal(await put3('first', now - 10_000, 'relay-a'), 'stored: first')
    assert.equal(await put3('older', now - 20_000, 'relay-a'), 'superseded: first')
    assert.equal(await put3('newer', now - 5_000, 'relay-a'), 'stored: newer')
    assert.equal(await put3('claims to be old', 1, 'node-s2'), 'stored: claims to be old')
    assert.equal(await put3('local', 1), 'stored: local')
    assert.equal(await put3('from the future', now + 1e9, 'relay-a'), 'stored: from the future')
    assert.equal(await put3('after it', Date.now(), 'relay-a'), 'stored: after it')
    const series = `${'a'.repeat(32)} ${now} ${now}`
    assert.equal(await put3('a node may state none', 1, 'node-s2', series), 'stored: a node may state none')
    assert.equal(
      await put3('first of a series', 9e15, 'relay-a', `${'a'.repeat(32)} 8000000000000000 1`),
      'stored: first of a series'
    )
    assert.equal(await put3('less', 8e15, 'relay-a', series), 'superseded: first of a series')
    assert.equal(await put3('not in it', 1), 'stored: not in it')
  })

  await t.test('a run id: from the policy server, and then it is one run; anyone else gets a new one', async () => {
    const id = makeRunId()
    const headers = { 'treeline-run-id': id }
    const form = { nodes: 'node-s1', keep_output: 'true' }
    const local = await postForm(sub, RUN_NODE, form, { headers })
    assert.match(String(local.headers['treeline-run-id']), /^[0-9A-HJKMNP-TV-Z]{26}$/)
    assert.notEqual(local.headers['treeline-run-id'], id)
    const as = tree.member('relay-a')
    const before = JSON.parse((await ask(sub, '/runs')).text).runs.length
    for (let index = 0; index < 2; index += 1) {
      const answer = await postForm(sub, RUN_NODE, form, { headers, as })
      assert.equal(answer.headers['treeline-run-id'], id)
      assert.match(answer.text, /agent of node-s1/)
    }
    assert.equal(JSON.parse((await ask(sub, '/runs')).text).runs.length, before + 1)
    const old = { 'treeline-run-id': '01BX5ZZKBKACTAV9WEVGEMMVRZ' }
    const refused = await postForm(sub, RUN_NODE, form, { headers: old, as })
    assert.equal(refused.status, 409, refused.text)
    const ahead = makeRunId(Date.now() + 1e10)
    const carriedOut = await postForm(sub, RUN_NODE, form, { headers: { 'treeline-run-id': ahead }, as })
    assert.equal(carriedOut.headers['treeline-run-id'], ahead, 'the clock of that relay is ahead')
    const rubbish = await postForm(sub, RUN_NODE, form, { headers: { 'treeline-run-id': '../x' }, as })
    assert.deepEqual([rubbish.status, rubbish.text], [400, 'invalid run id: "../x", expected a ULID\n'])
  })

  await t.test('the id of a request goes along, and is found in every log', async () => {
    const file = signContent('stranger', sender, 'f', 'x')
    const answer = await put(relayB, file, { 'x-request-id': 'find-me.42' })
    assert.equal(answer.headers['x-request-id'], 'find-me.42')
    for (const id of ['relay-b', 'root']) await tree.processes.get(id)?.logged(line => line.includes('find-me.42'))
    const harmful = await put(relayB, file, { 'x-request-id': 'a b"\\' })
    assert.notEqual(harmful.headers['x-request-id'], 'a b"\\')
  })

  await t.test('a reload that fails at the key believes in the former policy server alone', async () => {
    const file = signContent('node-a1', sender, 'by-whom', 'content')
    const other = relayB.certificateFile
    const [config, key] = await Promise.all([
      readFile(join(relayA.directory, 'main.conf'), 'utf8'),
      readFile(relayA.keyFile)
    ])
    await writeFile(
      join(relayA.directory, 'main.conf'),
      config.replace(/(server_certificate_file = ")[^"]*"/, `$1${other}"`)
    )
    await writeFile(relayA.keyFile, 'no key')
    const reload = () => ask(relayA, '/system/reload', { method: 'POST' })
    assert.equal((await reload()).status, 500)
    assert.notEqual((await put(relayA, file, vouched, 'relay-b')).status, 200)
    assert.equal((await put(relayA, file, vouched, 'root')).status, 200)
    await writeFile(relayA.keyFile, key)
    assert.equal((await reload()).status, 200)
    assert.equal((await put(relayA, file, vouched, 'relay-b')).status, 200)
    await writeFile(join(relayA.directory, 'main.conf'), config)
    assert.equal((await reload()).status, 200)
  })

  await t.test('nodes lists that differ: 508 is no loss, the file waits until they agree', async () => {
    await editNodesList(sub, nodes => {
      delete nodes['node-s2']
    })
    assert.equal((await ask(sub, '/system/reload', { method: 'POST' })).status, 200)
    const file = signContent('node-s2', sender, 'waits', 'x')
    const answer = await put(relayB, file, {})
    assert.equal(answer.status, 202, answer.text)
    await editNodesList(sub, nodes => {
      nodes['node-s2'] = { hostname: 'node-s2.example.test', 'policy-server': 'sub' }
    })
    assert.equal((await ask(sub, '/system/reload', { method: 'POST' })).status, 200)
    await eventually('its delivery', async () => {
      await ask(relayA, '/outbox/retry', { method: 'POST' })
      return (await ask(sub, file.path)).status === 200
    })
  })
})
