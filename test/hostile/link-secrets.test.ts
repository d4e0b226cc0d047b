import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import type { TreeMember } from '../../demo/relay-tree.js'
import { eventually } from '../support/eventually.js'
import { greet, HELLO, openHostileLink, openRawLink } from '../support/hostile/hostile-link.js'
import { type AskOptions, ask } from '../support/network/http.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

const SECRET = 'treeline-link-secret'
const FORM = /\d{10}-[0-9a-f]{24}\.[\w-]{43}/
const TREE = '/rudder/relay-api/v1/tree'

/** `evil` is never started: the test speaks in its name. */
const RELAYS = [
  { id: 'root', under: 'root', nodes: ['r1'] },
  { id: 'good', under: 'root', nodes: ['g1'], byLink: true },
  { id: 'evil', under: 'root', nodes: ['e1'], byLink: true }
]

/** From loopback too, so that the caller is none of this machine. */
const BEHIND_PROXY: AskOptions = { headers: { 'x-forwarded-for': '192.0.2.1' } }

async function startRelays(t: TestContext, logLevel: 'info' | 'trace' = 'info'): Promise<RunningTree> {
  const tree = await startTree(t, { relays: RELAYS, absent: ['evil'], logLevel })
  await eventually('the link of good', async () => {
    return (await ask(tree.relay('root'), '/v1/relay/links')).text.includes('"good"')
  })
  return tree
}

/** Opens a link in the name of a member, and keeps it open. */
async function link(t: TestContext, tree: RunningTree, member: TreeMember) {
  const opened = await openHostileLink(t, tree.relay('root'), member)
  await opened.send(HELLO)
  return opened
}

/** The ids of the part of the tree that a caller gets; its answer where it gets none. */
async function partOf(tree: RunningTree, secret: string | undefined, options: AskOptions = BEHIND_PROXY) {
  const headers = { ...options.headers, ...(secret === undefined ? {} : { [SECRET]: secret }) }
  const answer = await ask(tree.relay('root'), TREE, { ...options, headers })
  const ids = [...answer.text.matchAll(/"id":"([^"]+)"/g)].map(([, id = '']) => id).sort()
  return { status: answer.status, text: answer.text, ids: ids.join(), marker: answer.headers[SECRET] }
}

test('the secret of a link that stands makes its holder known, as its certificate would, and no more', async t => {
  const tree = await startRelays(t)
  const root = tree.relay('root')
  const { secret } = await link(t, tree, tree.member('evil'))
  const known = await partOf(tree, undefined, { as: tree.member('evil') })
  assert.equal(known.status, 200, known.text)
  assert.match(known.text, /"e1"/)
  assert.doesNotMatch(known.text, /"g1"/)
  const ways: Readonly<Record<string, AskOptions>> = {
    'without a certificate': { as: null },
    'behind a proxy on this machine': BEHIND_PROXY,
    'from this machine, where it takes away': {}
  }
  for (const [name, options] of Object.entries(ways)) {
    await t.test(name, async () => {
      const answer = await partOf(tree, secret, options)
      assert.deepEqual([answer.status, answer.text, answer.marker], [200, known.text, undefined])
    })
  }
  await t.test('what a relay below may not, its secret does not allow', async () => {
    const headers = { [SECRET]: secret }
    for (const [method, path] of [
      ['POST', '/remote-run/nodes/g1'],
      ['GET', '/runs'],
      ['GET', '/nodes'],
      ['GET', '/v1/relay/links'],
      ['POST', '/system/reload'],
      ['GET', '/shared-files/g1']
    ] as const) {
      assert.equal((await ask(root, path, { method, as: null, headers })).status, 403, path)
      assert.equal((await ask(root, path, { method, headers })).status, 403, `${path}, from this machine`)
    }
  })
  await t.test("a node's is good for the node", async () => {
    const node = await link(t, tree, tree.member('r1'))
    const own = await ask(root, '/shared-files/r1', { as: null, headers: { [SECRET]: node.secret } })
    assert.equal(own.status, 200, own.text)
    const others = await ask(root, '/shared-files/g1', { as: null, headers: { [SECRET]: node.secret } })
    assert.equal(others.status, 403, others.text)
  })
  await t.test('beside a certificate that is known, the certificate counts', async () => {
    const other = await partOf(tree, secret, { as: tree.member('good') })
    assert.deepEqual(other, await partOf(tree, undefined, { as: tree.member('good') }))
    assert.match(other.text, /"g1"/)
    assert.doesNotMatch(other.text, /"e1"/)
  })
})

test('a wrong, old or mixed secret gives what none gives', async t => {
  const tree = await startRelays(t)
  const [evil, node] = [await link(t, tree, tree.member('evil')), await link(t, tree, tree.member('r1'))]
  const none = await partOf(tree, undefined)
  assert.equal(none.status, 403)
  assert.equal(none.marker, undefined)
  const assertNothing = async (name: string, secret: string) => {
    const { marker, ...answer } = await partOf(tree, secret)
    const { marker: _, ...expected } = none
    assert.deepEqual(answer, expected, name)
    assert.equal(marker, 'unknown', name)
    const local = await partOf(tree, secret, {})
    assert.equal(local.status, 200, `${name}: a local caller stays one`)
  }
  const [id = '', code = ''] = evil.secret.split('.')
  const wrong: Readonly<Record<string, string>> = {
    empty: '',
    'the id alone': id,
    'no code': `${id}.`,
    'another code': `${id}.${randomBytes(32).toString('base64url')}`,
    'half of the code': `${id}.${code.slice(0, 20)}`,
    "another link's code": `${id}.${node.secret.split('.')[1]}`,
    'a link that never was': `${randomUUID()}.${code}`,
    'with more after it': `${evil.secret}AAAA`,
    'very long': `${id}.${'A'.repeat(8_000)}`,
    'two at once': `${evil.secret}, ${node.secret}`
  }
  for (const [name, secret] of Object.entries(wrong)) await assertNothing(name, secret)
  assert.equal((await partOf(tree, evil.secret)).status, 200, 'the right one')

  await t.test('at another relay', async () => {
    const good = tree.relay('good')
    const answer = await ask(good, TREE, { headers: { ...BEHIND_PROXY.headers, [SECRET]: evil.secret } })
    assert.deepEqual([answer.status, answer.headers[SECRET]], [403, 'unknown'])
  })
  await t.test('once its link is replaced', async () => {
    const newer = await link(t, tree, tree.member('evil'))
    await assertNothing('replaced', evil.secret)
    assert.equal((await partOf(tree, newer.secret)).status, 200)
    newer.socket.terminate()
    await eventually('its end', async () => (await partOf(tree, newer.secret)).status === 403)
    await assertNothing('lost', newer.secret)
  })
  await t.test('once its link is closed by hand', async () => {
    assert.equal((await ask(tree.relay('root'), '/v1/relay/links/r1', { method: 'DELETE' })).status, 200)
    await assertNothing('closed', node.secret)
  })
  await t.test('a lane has none', async () => {
    const owner = await link(t, tree, tree.member('evil'))
    const lane = await openRawLink(t, tree.relay('root').url)
    const said = await greet(lane, tree.member('evil'), { purpose: 'lane', link: owner.id })
    assert.deepEqual([said.treeline, said.secret], ['welcome', undefined])
  })
})

test('secrets are in no log, and in no answer', async t => {
  const tree = await startRelays(t, 'trace')
  const [root, good] = [tree.relay('root'), tree.relay('good')]
  const { secret } = await link(t, tree, tree.member('evil'))
  await partOf(tree, secret)
  await partOf(tree, `${secret.slice(0, -1)}_`)
  await ask(root, `/shared-files/none/none/none?ttl=x`, { method: 'PUT', as: null, headers: { [SECRET]: secret } })
  const file = signContent('r1', tree.member('g1'), 'upward', randomBytes(100_000))
  const put = await ask(good, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
  assert.equal(put.status, 200, put.text) // by requests of its own
  const shown = await Promise.all(
    ['/v1/relay/links', '/metrics', '/system/status', '/trace/g1'].map(async path => (await ask(root, path)).text)
  )
  assert.ok(shown.join().includes('"evil"'))
  const logs = ['root', 'good'].flatMap(id => tree.processes.get(id)?.log ?? [])
  assert.ok(
    logs.some(line => line.includes('"level":20')),
    'the details are there'
  )
  for (const text of [...logs, ...shown]) {
    assert.doesNotMatch(text, FORM)
    assert.ok(!text.includes(secret.slice(37)), text)
  }
  assert.match(secret, FORM)
})
