import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeAgentCertificate } from '../../demo/pki.js'
import { answers, type HopBehaviour, says, startHostileHop } from '../support/hostile/hostile-hop.js'
import { ask, postForm } from '../support/network/http.js'
import { startTree } from '../support/relays/relay-tree.js'

const RELAYS = [
  { id: 'root', under: 'root', nodes: ['n1', 'n2'] },
  { id: 'sub', under: 'root', nodes: ['s1', 's2'] }
]
const TREELINE = ['treeline-relay: 0.1.0']
const EVENTS = [...TREELINE, 'Content-Type: application/x-ndjson']
const STREAM = `HTTP/1.1 200 OK\r\n${EVENTS.join('\r\n')}\r\nTransfer-Encoding: chunked\r\n\r\n`
const START = '{"seq":1,"event":"start","run":"x"}\n'

interface NodeRecord {
  readonly node: string
  readonly via?: string
  readonly outcome: string
  readonly message?: string
}

/** What a hop does, what becomes of the nodes behind it, and why. */
const CASES: readonly (readonly [name: string, behaviour: HopBehaviour, outcome: string, reason: RegExp])[] = [
  ['closes at once', socket => socket.destroy(), 'unreachable', /it closed the connection/],
  ['answers rubbish', says('rubbish\r\n\r\n'), 'unreachable', /what it sends is not HTTP/],
  ['answers 408', answers(408, 'slow', TREELINE), 'unreachable', /answered 408: slow/],
  ['answers 429', answers(429, 'many', TREELINE), 'unreachable', /answered 429: many/],
  ['answers 503', answers(503, 'busy', TREELINE), 'unreachable', /answered 503: busy/],
  ['answers 403', answers(403, 'not you', TREELINE), 'refused', /sub refused: 403 not you/],
  [
    'breaks off in its events',
    says(`${STREAM}${START.length.toString(16)}\r\n${START}\r\n`, true),
    'unreachable',
    /sub was lost: other side closed/
  ],
  ['answers no events', says(`${STREAM}4\r\nabcd\r\n0\r\n\r\n`), 'unreachable', /sub was lost: its answer broke off/],
  [
    'answers events of other nodes',
    answers(200, `${START}{"seq":2,"event":"node","node":"n1","outcome":"done"}\n`, EVENTS),
    'unreachable',
    /sub was lost: it sent what is not an event/
  ],
  [
    'answers a line without end',
    answers(200, 'x'.repeat(3_000_000), EVENTS),
    'unreachable',
    /sub was lost: it sent a line of over 2097152 bytes/
  ],
  [
    'answers a long line of nested arrays',
    answers(200, `${START.slice(0, -2)},"x":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}\n`, EVENTS),
    'unreachable',
    /sub was lost: it sent what is not an event/
  ],
  ['ends without an end', answers(200, START, EVENTS), 'unreachable', /sub was lost: its answer broke off/]
]

test('remote runs through a hop that behaves badly', async t => {
  const settings = { general: ['connect_timeout = "1s"', 'response_timeout = "1s"'] }
  const tree = await startTree(t, { relays: RELAYS, absent: ['sub'], settings })
  const root = tree.relay('root')
  const hop = await startHostileHop(t, tree.relay('sub'))

  async function recordsOf(id: string): Promise<NodeRecord[]> {
    return JSON.parse((await ask(root, `/runs/${id}`)).text).node_records
  }

  /** Runs everything: what is managed here must be done in any case. */
  async function assertOutcome(outcome: string, reason: RegExp): Promise<void> {
    const answer = await postForm(root, '/remote-run/all', { keep_output: 'true' })
    assert.equal(answer.status, 200)
    const records = await recordsOf(String(answer.headers['treeline-run-id']))
    const outcomes = Object.fromEntries(records.map(record => [record.node, record.outcome]))
    assert.deepEqual(outcomes, { root: 'done', n1: 'done', n2: 'done', sub: 'done', s1: outcome, s2: outcome })
    for (const { node, via, message } of records.filter(
      record => record.node.startsWith('s') && record.node !== 'sub'
    )) {
      assert.equal(via, 'sub', node)
      assert.match(message ?? '', reason)
    }
    const errors = answer.text.split('\n').filter(line => line.startsWith('error: '))
    assert.ok(errors.length > 0, answer.text)
    assert.ok(
      errors.every(line => line.includes('sub') || /s[12]/.test(line)),
      errors.join('\n')
    )
    assert.ok(
      errors.some(line => reason.test(line)),
      errors.join('\n')
    )
    for (const node of ['n1', 'n2', 'sub']) assert.ok(answer.text.includes(`agent of ${node}.example.test\n`))
  }

  for (const [name, behaviour, outcome, reason] of CASES) {
    await t.test(`${name}: its nodes are ${outcome}, the others are done`, async () => {
      hop.behave(behaviour)
      await assertOutcome(outcome, reason)
    })
  }

  await t.test('only nodes that are behind it: 502, with the reason', async () => {
    hop.behave(answers(503, 'busy', TREELINE))
    const answer = await postForm(root, '/remote-run/nodes/s1', { keep_output: 'true' })
    assert.equal(answer.status, 502)
    assert.match(answer.text, /^error: sub cannot be reached: \S+ answered 503: busy\n$/)
  })

  await t.test('a certificate of someone else, and none at all', async t => {
    await hop.stop()
    const stranger = await makeAgentCertificate({ nodeId: 'sub', hostname: 'sub.example.test' })
    const other = await startHostileHop(t, tree.relay('sub'), stranger)
    await assertOutcome('unreachable', /certificate/)
    await other.stop()
    await assertOutcome('unreachable', /connection refused: nothing listens there/)
  })

  await t.test('it heals: all is done', async () => {
    await tree.restart('sub')
    const answer = await postForm(root, '/remote-run/all', { keep_output: 'true' })
    assert.equal(answer.status, 200)
    assert.doesNotMatch(answer.text, /^error: /m)
    assert.match(answer.text, /agent of s2\.example\.test\n/)
  })
})
