import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { RelayTree } from '../../demo/relay-tree.js'
import type { VersionRange } from '../../src/values/protocol-version.js'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/network/http.js'
import { makeTreeHere, startRelayHere } from '../support/relays/relay-here.js'
import { signContent } from '../support/work/signed-files.js'

const OLD = { oldest: 1, newest: 2 }
const NEXT = { oldest: 2, newest: 3 }
const FAR = { oldest: 3, newest: 4 }
/** Both ranges, whoever tells of whom. */
const BOTH = /^(?=.*1 to 2)(?=.*3 to 4).*: update the older/s
const API = '/rudder/relay-api'

interface Pair {
  readonly tree: RelayTree
  readonly upperLog: readonly string[]
  readonly lowerLog: readonly string[]
}

/** Two whole relays, one below the other, each with a node. */
async function startPair(t: TestContext, byLink: boolean, upper: VersionRange, lower: VersionRange): Promise<Pair> {
  const tree = await makeTreeHere(t, [
    { id: 'root', under: 'root', nodes: ['node-r1'] },
    { id: 'relay-a', under: 'root', nodes: ['node-a1'], byLink }
  ])
  const upperLog = await startRelayHere(t, tree, 'root', { versions: upper })
  const lowerLog = await startRelayHere(t, tree, 'relay-a', { versions: lower })
  return { tree, upperLog, lowerLog }
}

function hasLink(upperLog: readonly string[]): boolean {
  return upperLog.some(line => line.includes('link opened'))
}

async function put(tree: RelayTree, at: string, source: string, target: string) {
  const as = tree.member(source)
  const file = signContent(target, as, 'report', `from ${source} to ${target}`)
  const answer = await ask(tree.relay(at), `${file.path}?ttl=1h`, { method: 'PUT', body: file.body, as })
  return { file, answer }
}

async function assertShared(tree: RelayTree, at: string, source: string, keeper: string, target: string) {
  const { file, answer } = await put(tree, at, source, target)
  assert.equal(answer.status, 200, answer.text)
  const path = join(tree.relay(keeper).sharedFilesPath, target, 'files', source, 'report')
  assert.deepEqual(await readFile(path), file.content)
}

function run(tree: RelayTree) {
  return postForm(tree.relay('root'), `${API}/remote-run/nodes`, { nodes: 'node-a1', keep_output: 'true' })
}

for (const [way, byLink] of [
  ['directly', false],
  ['over a link', true]
] as const) {
  for (const [which, upper, lower] of [
    ['the upper one newer', NEXT, OLD],
    ['the lower one newer', OLD, NEXT]
  ] as const) {
    test(`neighbours one version apart run and share ${way}, ${which}`, async t => {
      const { tree, upperLog } = await startPair(t, byLink, upper, lower)
      if (byLink) await eventually('the link', () => hasLink(upperLog))
      const answer = await run(tree)
      assert.equal(answer.status, 200)
      assert.equal(answer.text, 'agent of node-a1.example.test\n')
      await assertShared(tree, 'root', 'node-r1', 'relay-a', 'node-a1')
      await assertShared(tree, 'relay-a', 'node-a1', 'root', 'node-r1')
    })
  }
}

for (const [which, upper, lower] of [
  ['the upper one newer', FAR, OLD],
  ['the lower one newer', OLD, FAR]
] as const) {
  test(`without a common version, both sides of a connection say so and name both ranges, ${which}`, async t => {
    const { tree, lowerLog, upperLog } = await startPair(t, false, upper, lower)
    const refused = await run(tree)
    assert.equal(refused.status, 502, 'nothing was started')
    assert.match(refused.text, BOTH)
    assert.ok(lowerLog.some(line => BOTH.test(line)))
    // a file waits until one of the two is updated, in either direction
    for (const [at, source, target] of [
      ['root', 'node-r1', 'node-a1'],
      ['relay-a', 'node-a1', 'node-r1']
    ] as const) {
      const { answer } = await put(tree, at, source, target)
      assert.equal(answer.status, 202, answer.text)
      assert.match((await ask(tree.relay(at), `${API}/outbox`)).text, BOTH)
    }
    assert.ok(upperLog.some(line => BOTH.test(line)))
  })

  test(`without a common version there is no link, and both sides name both ranges, ${which}`, async t => {
    const { lowerLog, upperLog } = await startPair(t, true, upper, lower)
    const told = (log: readonly string[], message: string) =>
      log.some(line => line.includes(message) && BOTH.test(line))
    await eventually('the words of both', () => told(lowerLog, 'cannot open link') && told(upperLog, 'link refused'))
    assert.equal(hasLink(upperLog), false)
  })
}
