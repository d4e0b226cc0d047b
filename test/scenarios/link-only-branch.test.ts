import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDatabase } from '../../src/storage/sqlite-engine/database.js'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/network/http.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

const RUN = '/rudder/relay-api/remote-run'

const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1'] },
  { id: 'relay-a', under: 'root', nodes: ['node-a1'], byLink: true },
  { id: 'sub', under: 'relay-a', nodes: ['node-s1', 'node-s2'], byLink: true }
]
const ALL = ['node-a1', 'node-r1', 'node-s1', 'node-s2', 'relay-a', 'root', 'sub']

/** The nodes that said in the text of an answer that they ran. */
function ranIn(text: string): string[] {
  return [...text.matchAll(/^agent of (\S+)\.example\.test$/gm)].map(match => match[1] ?? '').sort()
}

function runAll(tree: RunningTree) {
  return postForm(tree.relay('root'), `${RUN}/all`, { keep_output: 'true' })
}

function untilAllIsReached(tree: RunningTree): Promise<string[]> {
  return eventually('all nodes', async () => {
    const ran = ranIn((await runAll(tree)).text)
    return ran.length === ALL.length && ran
  })
}

test('a branch that its policy server cannot connect to is reached over its links', async t => {
  const tree = await startTree(t, { relays: RELAYS })
  assert.deepEqual(await untilAllIsReached(tree), ALL)

  await t.test('one node, three levels down', async () => {
    const answer = await postForm(tree.relay('root'), `${RUN}/nodes/node-s2`, { keep_output: 'true' })
    assert.deepEqual(ranIn(answer.text), ['node-s2'])
  })

  for (const size of [0, 10, 5_000_000]) {
    await t.test(`a file of ${size} bytes, down and up`, async () => {
      for (const [at, source, target, keeper] of [
        ['root', 'node-r1', 'node-s1', 'sub'],
        ['sub', 'node-s2', 'node-r1', 'root']
      ] as const) {
        const file = signContent(target, tree.member(source), `file-${size}`, randomBytes(size))
        const put = await ask(tree.relay(at), `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
        assert.equal(put.status, 200, put.text)
        const got = await ask(tree.relay(keeper), file.path, { as: tree.member(target) })
        assert.ok(file.content.equals(got.body))
        const head = await ask(tree.relay(at), `${file.path}?hash=${file.hash}`, { method: 'HEAD' })
        assert.equal(head.status, 200)
      }
    })
  }

  await t.test('a file for it waits while its relay is away, and goes when its link opens', async () => {
    await tree.processes.get('relay-a')?.stop()
    const file = signContent('node-s1', tree.member('node-r1'), 'waiting', 'x')
    const put = await ask(tree.relay('root'), `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
    assert.equal(put.status, 202)
    await tree.restart('relay-a')
    await eventually('the file', async () => {
      return (await ask(tree.relay('sub'), `${file.path}?hash=${file.hash}`, { method: 'HEAD' })).status === 200
    })
    assert.deepEqual(await untilAllIsReached(tree), ALL)
  })

  await t.test('a file from it waits while its policy server is away, and goes when its link opens', async () => {
    const relayA = tree.relay('relay-a')
    await tree.processes.get('root')?.stop()
    const file = signContent('node-r1', tree.member('node-a1'), 'waiting-upward', 'x')
    const put = await ask(relayA, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
    assert.equal(put.status, 202)
    await tree.processes.get('relay-a')?.stop()
    const db = openDatabase(join(relayA.storagePath, 'state.db'), 'state')
    // From here on its own next try is too far off to be what sends it.
    db.prepare('UPDATE outbox SET next_attempt_at = ?').run(Date.now() + 3_600_000)
    db.close()
    await tree.restart('relay-a')
    await tree.restart('root')
    await eventually('the file', async () => {
      return (await ask(tree.relay('root'), `${file.path}?hash=${file.hash}`, { method: 'HEAD' })).status === 200
    })
    assert.deepEqual(await untilAllIsReached(tree), ALL)
  })

  await t.test('killed without a word, it is told of as unreachable, and is back soon after', async () => {
    const relay = tree.processes.get('relay-a')
    relay?.signal('SIGKILL')
    await relay?.ended
    const answer = await eventually('an answer without it', async () => {
      const { text } = await runAll(tree)
      return /error: .*relay-a/.test(text) && text
    })
    assert.deepEqual(ranIn(answer), ['node-r1', 'relay-a', 'root'])
    await tree.restart('relay-a')
    assert.deepEqual(await untilAllIsReached(tree), ALL)
  })
})
