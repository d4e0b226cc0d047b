import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeAgentCertificate } from '../../demo/pki.js'
import { eventually } from '../support/eventually.js'
import { answers, type HopBehaviour, says, startHostileHop } from '../support/hostile/hostile-hop.js'
import { ask } from '../support/network/http.js'
import { assertServes } from '../support/relays/relay-health.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { type SignedFile, signContent } from '../support/work/signed-files.js'

const RELAYS = [
  { id: 'root', under: 'root', nodes: ['n1', 'n2'] },
  { id: 'sub', under: 'root', nodes: ['s1'] }
]
const TREELINE = ['treeline-relay: 0.1.0']
const SETTINGS = { general: ['connect_timeout = "1s"', 'response_timeout = "1s"'] }

/** A hop that can't do it, and what is said of it. */
const UNREACHABLE: readonly (readonly [name: string, behaviour: HopBehaviour, reason: RegExp])[] = [
  ['closes at once', socket => socket.destroy(), /it closed the connection/],
  ['closes when asked', says('', true), /it closed the connection/],
  ['is silent', says(''), /it was silent for too long/],
  ['closes in its head', says('HTTP/1.1 200 OK\r\nContent-Le', true), /it closed the connection/],
  ['stops in its head', says('HTTP/1.1 200 OK\r\nContent-Le'), /it was silent for too long/],
  ['answers rubbish', says('\x00\xff\x13rubbish\r\n\r\n'), /what it sends is not HTTP/],
  [
    'answers a head without end',
    says(`HTTP/1.1 200 OK\r\n${`X: ${'y'.repeat(1_000)}\r\n`.repeat(1_000)}`),
    /UND_ERR_HEADERS_OVERFLOW|HPE_HEADER_OVERFLOW/
  ],
  [
    'answers two lengths',
    says('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na'),
    /not HTTP|length/
  ],
  ['answers 408', answers(408, 'slow', TREELINE), /answered 408: slow/],
  ['answers 429', answers(429, 'many', TREELINE), /answered 429: many/],
  ['answers 500', answers(500, 'broken\nand more', TREELINE), /answered 500: broken$/],
  ['answers 502 as a proxy', answers(502, '<html>', []), /answered 502: <html>/],
  ['answers 503', answers(503, '\x1b[31mred', TREELINE), /answered 503: \[31mred/],
  ['answers 508', answers(508, 'loop', TREELINE), /answered 508: loop/],
  ['answers 599', answers(599, '', TREELINE), /answered 599/],
  ['switches protocols unasked', says('HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'), /./]
]

interface Entry {
  readonly id: string
  readonly file_id: string
  readonly state: string
  readonly last_error?: string
}

async function outboxOf(tree: RunningTree): Promise<Entry[]> {
  return JSON.parse((await ask(tree.relay('root'), '/outbox')).text).entries
}

function headStatus(tree: RunningTree, file: SignedFile) {
  return ask(tree.relay('root'), `${file.path}?hash=${file.hash}`, { method: 'HEAD' }).then(({ status }) => status)
}

test('files for a hop that behaves badly', async t => {
  const tree = await startTree(t, { relays: RELAYS, absent: ['sub'], settings: SETTINGS })
  const root = tree.relay('root')
  const hop = await startHostileHop(t, tree.relay('sub'))
  const make = (id: string, size = 10) => signContent('s1', tree.member('n2'), id, Buffer.alloc(size, id))
  const put = (file: SignedFile) => ask(root, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
  const get = (file: SignedFile) => ask(root, file.path, { as: tree.member('s1') })
  const waiting: SignedFile[] = []

  /** A failure a moment ago would keep the hop from being asked. */
  async function forgetFailures(): Promise<void> {
    await tree.processes.get('root')?.stop()
    await tree.restart('root')
  }

  for (const [index, [name, behaviour, reason]] of UNREACHABLE.entries()) {
    await t.test(`${name}: PUT 202, HEAD 404 before and 200 after, GET 502`, async () => {
      hop.behave(behaviour)
      await forgetFailures()
      const file = make(`f${index}`, index % 2 === 0 ? 10 : 300_000)
      const answer = await put(file)
      assert.deepEqual([answer.status, answer.headers['treeline-state']], [202, 'pending'], answer.text)
      const entry = (await outboxOf(tree)).find(({ file_id }) => file_id === `f${index}`)
      assert.match(entry?.last_error ?? '', reason)
      assert.equal(await headStatus(tree, file), 200)
      assert.equal(await headStatus(tree, make('never')), 404)
      const got = await get(file)
      assert.equal(got.status, 502, got.text)
      assert.match(got.text, /^sub, which leads to s1, cannot be reached: \P{C}+\n$/u)
      assert.equal((await ask(root, `/outbox/${entry?.id}`, { method: 'DELETE' })).status, 204)
    })
  }

  await t.test('a GET that breaks off in the middle is not taken for whole', async () => {
    for (const closes of [true, false]) {
      hop.behave(says('HTTP/1.1 200 OK\r\nContent-Length: 100000\r\ntreeline-relay: 0.1.0\r\n\r\nhalf of it', closes))
      await assert.rejects(get(make('f0')))
    }
  })

  await t.test('a certificate of someone else: not asked, and said so', async t => {
    await hop.stop()
    const stranger = await makeAgentCertificate({ nodeId: 'sub', hostname: 'sub.example.test' })
    const other = await startHostileHop(t, tree.relay('sub'), stranger)
    let wasAsked = false
    other.behave(socket => {
      socket.on('data', () => {
        wasAsked = true
      })
    })
    await forgetFailures()
    const file = make('stranger')
    assert.equal((await put(file)).status, 202)
    waiting.push(file)
    const got = await get(file)
    assert.equal(got.status, 502)
    assert.match(got.text, /certificate/)
    assert.equal(wasAsked, false)
    await other.stop()
  })

  await t.test('away: the same', async () => {
    await forgetFailures()
    const file = make('away')
    assert.equal((await put(file)).status, 202)
    waiting.push(file)
    assert.match((await get(file)).text, /connection refused: nothing listens there/)
  })

  await t.test('it heals: all of it is delivered', async () => {
    await tree.restart('sub')
    await eventually('an empty outbox', async () => {
      await ask(root, '/outbox/retry', { method: 'POST' })
      return (await outboxOf(tree)).length === 0
    })
    for (const file of waiting) {
      assert.equal(await headStatus(tree, file), 200)
      const { status, body } = await get(file)
      assert.deepEqual([status, body.equals(file.content)], [200, true])
    }
    assert.deepEqual(readdirSync(join(root.sharedFilesPath, '.outbox~')), [])
  })

  await assertServes(tree, root, 'n1', 'n2')
})
