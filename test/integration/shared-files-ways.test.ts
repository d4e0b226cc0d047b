import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TreeRelay } from '../../demo/relay-tree.js'
import { ask } from '../support/network/http.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { type SignedFile, signContent } from '../support/work/signed-files.js'

/** Each relay with a node that it manages. */
const LEVELS = [
  ['root', 'node-r1'],
  ['relay-a', 'node-a1'],
  ['sub', 'node-s1'],
  ['relay-b', 'node-b1']
] as const

async function share(tree: RunningTree, at: string, source: string, target: string, fileId: string, ttl = '1h') {
  const relay = tree.relay(at)
  const as = tree.member(source)
  const file = signContent(target, as, fileId, `from ${source} to ${target}`)
  const head = () => ask(relay, `${file.path}?hash=${file.hash}`, { method: 'HEAD', as })
  assert.equal((await head()).status, 404, `HEAD before, ${source} to ${target}`)
  const put = await ask(relay, `${file.path}?ttl=${ttl}`, { method: 'PUT', body: file.body, as })
  assert.equal(put.status, 200, `${source} to ${target}: ${put.text}`)
  assert.equal(put.text, '')
  assert.equal((await head()).status, 200, `HEAD after, ${source} to ${target}`)
  return file
}

/** On disk where agents read it, with its metadata beside it. */
async function assertKept(keeper: TreeRelay, file: SignedFile, names: readonly [string, string, string]) {
  const [target, source, fileId] = names
  const path = join(keeper.sharedFilesPath, target, 'files', source, fileId)
  assert.deepEqual(await readFile(path), file.content)
  const metadata = await readFile(`${path}.metadata`, 'utf8')
  const sent = String(file.body.subarray(0, file.body.indexOf('\n\n') + 1))
  assert.ok(metadata.startsWith(sent), metadata)
  assert.match(metadata.slice(sent.length), /^expires=\d{10}\n$/)
}

test('a file goes from any node to any other, up, down and across', async t => {
  const tree = await startTree(t)

  for (const [at, source] of LEVELS) {
    for (const [keeper, target] of LEVELS) {
      await t.test(`from ${source} (${at}) to ${target} (${keeper})`, async () => {
        const file = await share(tree, at, source, target, 'ways')
        await assertKept(tree.relay(keeper), file, [target, source, 'ways'])
        const got = await ask(tree.relay(keeper), file.path, { as: tree.member(target) })
        assert.equal(got.status, 200)
        assert.deepEqual(got.body, file.content)
      })
    }
  }

  await t.test('every relay above the target sees it, and nothing stays on the way', async () => {
    const file = signContent('node-s1', tree.member('node-b1'), 'ways', 'from node-b1 to node-s1')
    for (const id of ['root', 'relay-a', 'sub', 'relay-b']) {
      assert.equal((await ask(tree.relay(id), `${file.path}?hash=${file.hash}`, { method: 'HEAD' })).status, 200, id)
    }
    for (const id of ['root', 'relay-a', 'relay-b']) {
      const folders = await readdir(tree.relay(id).sharedFilesPath)
      assert.deepEqual(folders.includes('node-s1'), false, id)
      for (const folder of ['.incoming~', '.outbox~']) {
        assert.deepEqual(await readdir(join(tree.relay(id).sharedFilesPath, folder)), [], `${id}/${folder}`)
      }
    }
  })

  await t.test('a relay is a node of its policy server: files for it are kept there', async () => {
    for (const [target, keeper] of [
      ['relay-a', 'root'],
      ['sub', 'relay-a'],
      ['relay-b', 'root'],
      ['root', 'root']
    ] as const) {
      const file = await share(tree, 'sub', 'node-s2', target, 'for-a-relay')
      await assertKept(tree.relay(keeper), file, [target, 'node-s2', 'for-a-relay'])
    }
  })

  await t.test('a relay is a source too: at its policy server, or at itself', async () => {
    const file = await share(tree, 'root', 'relay-a', 'node-s1', 'from-a-relay')
    await assertKept(tree.relay('sub'), file, ['node-s1', 'relay-a', 'from-a-relay'])
    const own = signContent('node-b1', tree.member('sub'), 'own', 'x')
    const put = await ask(tree.relay('sub'), `${own.path}?ttl=60`, { method: 'PUT', body: own.body })
    assert.equal(put.status, 200, put.text)
    await assertKept(tree.relay('relay-b'), own, ['node-b1', 'sub', 'own'])
  })

  await t.test('the next version takes the place of the one before, and only its hash is there', async () => {
    const [first, second] = ['one', 'two'].map(text => signContent('node-s1', tree.member('node-b1'), 'twice', text))
    assert.ok(first !== undefined && second !== undefined)
    const relay = tree.relay('relay-b')
    for (const file of [first, second]) {
      assert.equal((await ask(relay, `${file.path}?ttl=60`, { method: 'PUT', body: file.body })).status, 200)
    }
    assert.equal((await ask(relay, `${first.path}?hash=${first.hash}`, { method: 'HEAD' })).status, 404)
    assert.equal((await ask(relay, `${first.path}?hash=${second.hash}`, { method: 'HEAD' })).status, 200)
    await assertKept(tree.relay('sub'), second, ['node-s1', 'node-b1', 'twice'])
  })

  await t.test('the same routes answer under every prefix, with the slashes merged', async () => {
    const relay = tree.relay('relay-a')
    for (const prefix of [
      '/rudder/relay-api/',
      '/rudder/relay-api/1/',
      '/',
      '//relay-api/',
      '//relay-api//',
      '/rudder//relay-api/'
    ]) {
      const file = signContent('node-b1', tree.member('node-a1'), `prefix${prefix.length}`, prefix)
      const path = file.path.replace('/rudder/relay-api/', prefix)
      assert.equal((await ask(relay, `${path}?ttl=60`, { method: 'PUT', body: file.body })).status, 200, prefix)
      assert.equal((await ask(relay, `${path}?hash=${file.hash}`, { method: 'HEAD' })).status, 200, prefix)
      assert.equal((await ask(relay, `${prefix}system/info`)).status, 200, prefix)
      const run = await ask(relay, `${prefix}remote-run/nodes/node-a1`, { method: 'POST' })
      assert.equal(run.status, 200, prefix)
    }
    assert.equal((await ask(relay, '/rudder/relay-api/no-such')).status, 404)
    for (const path of ['/uuid', '/metrics']) assert.equal((await ask(relay, path)).status, 200)
    assert.equal((await ask(relay, '/uuid')).text, 'relay-a')
  })
})
