import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeRunId } from '../../src/values/runs/run-id.js'
import { eventually } from '../support/eventually.js'
import { treeline } from '../support/machine/treeline-command.js'
import { type AskOptions, ask, postForm } from '../support/network/http.js'
import { startLossyFront } from '../support/network/lossy-front.js'
import { rawRequest } from '../support/network/raw-http.js'
import { startTree } from '../support/relays/relay-tree.js'
import { editConfig } from '../support/relays/tree-files.js'

const RUN = '/rudder/relay-api/remote-run'

/** Tells its arguments, and notes them. */
const AGENT = `#!/bin/sh
for last do :; done
echo "$last: $*"
echo "$*" >> "$(dirname "$0")/calls"
echo "warning of $last" >&2
case "$last" in *fails*) exit 3 ;; esac
`

const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1'] },
  { id: 'relay-a', under: 'root', nodes: ['node-a1', 'node-fails'] },
  { id: 'sub', under: 'relay-a', nodes: ['node-s1', 'node-s2'] }
]
const BELOW_A = ['node-a1', 'node-fails', 'node-s1', 'node-s2', 'sub']
const ALL = [...BELOW_A, 'node-r1', 'relay-a', 'root'].sort()

test('the three calls of remote-run, in text', async t => {
  const tree = await startTree(t, { relays: RELAYS, agent: AGENT })
  const [root, relayA, sub] = ['root', 'relay-a', 'sub'].map(id => tree.relay(id))
  assert.ok(root !== undefined && relayA !== undefined && sub !== undefined)
  const linesOf = (text: string) => text.split('\n').filter(line => line !== '')
  const ranIn = (text: string) =>
    linesOf(text)
      .filter(line => line.includes(': remote run '))
      .map(line => line.replace(/\.example\.test: .*/, ''))
      .sort()
  const keep = { keep_output: 'true' }

  await t.test('all: everything below the relay that is asked, not itself; but root is its own node', async () => {
    assert.deepEqual(ranIn((await postForm(root, `${RUN}/all`, keep)).text), ALL)
    assert.deepEqual(ranIn((await postForm(relayA, `${RUN}/all`, keep)).text), BELOW_A)
    assert.deepEqual(ranIn((await postForm(sub, `${RUN}/all`, keep)).text), ['node-s1', 'node-s2'])
  })

  await t.test('nodes and one node: wherever below they are', async () => {
    const nodes = ['node-s2', 'node-r1', 'sub', 'root']
    assert.deepEqual(
      ranIn((await postForm(root, `${RUN}/nodes`, { ...keep, nodes: nodes.join(',') })).text),
      nodes.sort()
    )
    const twice = await postForm(root, `${RUN}/nodes`, { ...keep, nodes: 'node-s1,node-s1' })
    assert.deepEqual(ranIn(twice.text), ['node-s1'])
    for (const id of ['node-s1', 'relay-a', 'root']) {
      assert.deepEqual(ranIn((await postForm(root, `${RUN}/nodes/${id}`, keep)).text), [id])
    }
  })

  await t.test('nodes that are unknown or no ids do not stop the others; blanks around ids say nothing', async () => {
    const nodes = ` node-r1 ,\tnode-s1, no id,,nobody , e\u0301\x1b[2J,${'x'.repeat(200)}`
    const answer = await postForm(root, `${RUN}/nodes`, { ...keep, nodes })
    assert.equal(answer.status, 200)
    assert.deepEqual(ranIn(answer.text), ['node-r1', 'node-s1'])
    const told = linesOf(answer.text).filter(line => line.startsWith('error: '))
    const why = 'refused: unknown node: it is not below root: check the id, or ask a relay that is above it'
    const shown = ['e??[2J', 'no id', 'nobody', `${'x'.repeat(80)}…`]
    assert.deepEqual(
      told.sort(),
      shown.map(id => `error: ${id}: ${why}`)
    )
  })

  await t.test('what Python writes for true and false, and a form of no stated type', async () => {
    const answer = await postForm(root, `${RUN}/nodes`, {
      keep_output: 'True',
      asynchronous: 'False',
      nodes: 'node-r1'
    })
    assert.deepEqual([answer.status, ranIn(answer.text)], [200, ['node-r1']])
    const body = 'keep_output=true&nodes=node-r1'
    const untyped = await ask(root, `${RUN}/nodes`, { method: 'POST', body })
    assert.deepEqual([untyped.status, ranIn(untyped.text)], [200, ['node-r1']])
  })

  const hasEnded = (id: string) =>
    eventually(`the end of run ${id}`, async () => JSON.parse((await ask(root, `/runs/${id}`)).text).state === 'done')

  await t.test('the four combinations', async () => {
    for (const keepOutput of ['true', 'false', undefined]) {
      for (const asynchronous of ['true', 'false', undefined]) {
        const condition = `keep_${keepOutput}_asynchronous_${asynchronous}`
        const form = {
          nodes: 'node-a1,node-s1',
          conditions: condition,
          ...(keepOutput === undefined ? {} : { keep_output: keepOutput }),
          ...(asynchronous === undefined ? {} : { asynchronous })
        }
        const answer = await postForm(root, `${RUN}/nodes`, form)
        assert.equal(answer.status, 200)
        assert.match(String(answer.headers['content-type']), /^text\/plain/)
        assert.match(String(answer.headers['treeline-run-id']), /^[0-9A-Z]{26}$/)
        if (keepOutput !== 'true') assert.equal(answer.text, '')
        else assert.deepEqual(ranIn(answer.text), ['node-a1', 'node-s1'])
        if (asynchronous === 'true') await hasEnded(String(answer.headers['treeline-run-id']))
        const calls = linesOf(await readFile(join(tree.folder, 'calls'), 'utf8'))
        const ofThis = calls.filter(call => call.includes(` ${condition} `))
        assert.deepEqual(ofThis.map(call => /node-\w+/.exec(call)?.[0]).sort(), ['node-a1', 'node-s1'])
      }
    }
  })

  await t.test('an order that is given again after a 502 in front of the relay runs once', async () => {
    const { port } = new URL(root.localUrl)
    const front = await startLossyFront(t, `http://127.0.0.1:${port}`)
    const args = ['run', 'node-a1', '--conditions', 'given_again', '--wait', '1h', '--server', front.url]
    const { code, stdout, stderr } = await treeline(t, args)
    assert.equal(code, 0, stderr)
    assert.match(stderr, /\(502\).*\(tried again until /)
    assert.equal(front.passed.length, 2)
    await hasEnded(stdout.trim())
    const calls = linesOf(await readFile(join(tree.folder, 'calls'), 'utf8'))
    assert.equal(calls.filter(call => call.includes(' given_again ')).length, 1)
  })

  await t.test(
    'an id of an order counts for the caller who gave it, in an asynchronous run, and is a ULID',
    async () => {
      const order = async (id: string, asynchronous: string, options: AskOptions = {}) => {
        const headers = { 'treeline-order-id': id, ...options.headers }
        const form = { nodes: 'node-r1', asynchronous }
        const { status, headers: told } = await postForm(root, `${RUN}/nodes`, form, { ...options, headers })
        return status === 200 ? String(told['treeline-run-id']) : status
      }
      const id = makeRunId()
      const first = await order(id, 'true')
      assert.notEqual(first, id)
      assert.equal(await order(id, 'true'), first)
      for (const days of [-400, -8, 8, 30]) {
        const ofOtherClock = makeRunId(Date.now() + days * 86_400_000)
        const given = [await order(ofOtherClock, 'true'), await order(ofOtherClock, 'true')]
        assert.match(String(given[0]), /^[0-9A-Z]{26}$/)
        assert.equal(given[1], given[0], `a clock that is ${days} days off`)
      }
      const others = [
        await order(id, 'false'),
        await order(makeRunId(), 'true'),
        await order(id, 'true', { headers: { 'x-forwarded-for': '192.0.2.7' } }),
        await order(makeRunId(Date.now() + 30 * 86_400_000), 'true')
      ]
      assert.equal(new Set([first, ...others]).size, 5)
      assert.equal(others.filter(other => typeof other === 'string' && other > makeRunId()).length, 0)
      assert.equal(await order('x', 'true'), 400)
    }
  )

  await t.test('text leaves out what was said on standard error, which events have', async () => {
    for (const asynchronous of ['true', 'false']) {
      const { text } = await postForm(root, `${RUN}/nodes`, { ...keep, asynchronous, nodes: 'node-a1,node-fails' })
      assert.match(text, /^node-fails\.example\.test: /m)
      assert.match(text, /^error: node-fails: exit code 3$/m)
      assert.doesNotMatch(text, /warning of/)
    }
    const headers = { accept: 'application/x-ndjson' }
    const { text } = await postForm(root, `${RUN}/nodes/node-a1`, keep, { headers })
    assert.match(text, /"stream":"stderr","data":"warning of /)
  })

  await t.test(
    'in synchronous text the lines of one node stand together; with stderr = true, on both streams',
    async () => {
      await editConfig(root, config => config.replace('[remote_run]', '[remote_run]\nstderr = true'))
      assert.equal((await ask(root, '/system/reload', { method: 'POST' })).status, 200)
      const { text } = await postForm(root, `${RUN}/nodes`, { ...keep, nodes: 'node-a1,node-s1,node-s2,node-r1' })
      const hosts = linesOf(text).map(line => /node-\w+/.exec(line)?.[0])
      assert.equal(hosts.length, 8)
      for (let index = 0; index < 8; index += 2) assert.equal(hosts[index], hosts[index + 1], text)
    }
  )

  await t.test('conditions, and classes that are their older name', async () => {
    for (const [field, value, option] of [
      ['conditions', 'one,two_2', '-D one,two_2 '],
      ['classes', 'one,two_2', '-D one,two_2 '],
      ['conditions', '', ''],
      ['classes', '', '']
    ] as const) {
      const { text } = await postForm(root, `${RUN}/nodes/node-s1`, { ...keep, [field]: value })
      assert.match(text, new RegExp(`^node-s1.example.test: remote run ${option}-- node-s1.example.test$`, 'm'))
    }
    for (const [conditions, classes] of [
      ['', 'one'],
      ['one', ''],
      ['one', 'two']
    ] as const) {
      const { text } = await postForm(root, `${RUN}/nodes/node-s1`, { ...keep, conditions, classes })
      assert.match(text, / -D one -- /, 'the one that is not empty, and conditions before classes')
    }
    const longest = 'x'.repeat(1024)
    const { text } = await postForm(root, `${RUN}/nodes/node-s1`, { ...keep, conditions: longest })
    assert.match(text, new RegExp(`-D ${longest} --`))
  })

  await t.test('bad fields: 400, one line that says why, and nothing starts', async () => {
    const callsBefore = await readFile(join(tree.folder, 'calls'), 'utf8')
    const why = 'should match ^[a-zA-Z0-9][a-zA-Z0-9_]*$'
    const cases: [Record<string, string>, string | RegExp][] = [
      [{ classes: 'class~1' }, `invalid condition: class~1, ${why}\n`],
      [{ conditions: 'ok,class~1' }, `invalid condition: class~1, ${why}\n`],
      [{ conditions: '_x' }, `invalid condition: _x, ${why}\n`],
      [{ conditions: 'a,,b' }, `invalid condition: , ${why}\n`],
      [{ conditions: 'x'.repeat(1025) }, /^invalid condition: x+…, at most 1024 characters are allowed\n$/],
      [{ conditions: 'a\nb' }, /^invalid condition: a\?b, should match .*\n$/],
      [{ keep_output: 'yes' }, 'invalid keep_output: yes, should be true or false\n'],
      [{ conditions: 'ok', classes: 'class~1' }, `invalid condition: class~1, ${why}\n`],
      [{ conditions: 'class~1', classes: 'ok' }, `invalid condition: class~1, ${why}\n`],
      [{ asynchronous: '1' }, 'invalid asynchronous: 1, should be true or false\n']
    ]
    for (const [form, expected] of cases) {
      for (const path of ['all', 'nodes', 'nodes/node-s1']) {
        const answer = await postForm(root, `${RUN}/${path}`, { nodes: 'node-s1', ...form })
        assert.equal(answer.status, 400, answer.text)
        assert.match(String(answer.headers['content-type']), /^text\/plain/)
        if (typeof expected === 'string') assert.equal(answer.text, expected)
        else assert.match(answer.text, expected)
      }
    }
    for (const form of [{}, { nodes: '' }, { nodes: ',' }, { keep_output: 'true' }] as Record<string, string>[]) {
      const answer = await postForm(root, `${RUN}/nodes`, form)
      assert.deepEqual([answer.status, answer.text], [400, 'Missing nodes\n'])
    }
    for (const nodes of ['no id', ' no id , ;,', 'node-s1\n']) {
      const answer = await postForm(root, `${RUN}/nodes`, { nodes })
      assert.equal(answer.status, 400, nodes)
      assert.match(answer.text, /^invalid node id: .*\n$/)
    }
    assert.equal((await rawRequest(root, 'POST', `${RUN}/nodes/%2e%2e`, ['Content-Length: 0'])).status, 400)
    assert.equal(await readFile(join(tree.folder, 'calls'), 'utf8'), callsBefore)
  })

  await t.test('bodies: none at all, an empty one, 1 MiB at most', async () => {
    assert.equal((await ask(sub, `${RUN}/all`, { method: 'POST' })).status, 200)
    assert.equal((await ask(sub, `${RUN}/all`, { method: 'POST', body: '' })).status, 200)
    assert.equal((await postForm(sub, `${RUN}/all`, {})).status, 200)
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    const padded = (bytes: number) => `keep_output=true&x=${'x'.repeat(bytes - 19)}`
    assert.equal(
      (await ask(sub, `${RUN}/all`, { method: 'POST', headers: form, body: padded(1024 * 1024) })).status,
      200
    )
    const beyond = await ask(sub, `${RUN}/all`, { method: 'POST', headers: form, body: padded(1024 * 1024 + 1) })
    assert.equal(beyond.status, 413)
  })

  await t.test('unknown nodes: one by itself is 404, in a list each has its line, also in a list of one', async () => {
    for (const [relay, id] of [
      [root, 'stranger'],
      [relayA, 'node-r1'],
      [relayA, 'relay-a'],
      [sub, 'sub']
    ] as const) {
      const answer = await postForm(relay, `${RUN}/nodes/${id}`, keep)
      assert.equal(answer.status, 404)
      assert.match(answer.text, new RegExp(`^unknown node: ${id} .*\\n$`))
    }
    const mixed = await postForm(relayA, `${RUN}/nodes`, { ...keep, nodes: 'stranger,node-s1,node-r1,relay-a' })
    assert.equal(mixed.status, 200)
    assert.deepEqual(ranIn(mixed.text), ['node-s1'])
    for (const id of ['stranger', 'node-r1', 'relay-a'])
      assert.match(mixed.text, new RegExp(`^error: ${id}: .*unknown`, 'm'))
    const silent = await postForm(relayA, `${RUN}/nodes`, { nodes: 'stranger,node-s1' })
    assert.match(silent.text, /^error: stranger: [^\n]*\n$/)
    for (const asynchronous of ['false', 'true']) {
      const listed = await postForm(relayA, `${RUN}/nodes`, { ...keep, asynchronous, nodes: 'stranger' })
      assert.equal(listed.status, 200)
      assert.match(listed.text, /^error: stranger: [^\n]*unknown[^\n]*\n$/)
    }
  })

  await t.test('a node that fails has its line, through every level', async () => {
    for (const form of [keep, { ...keep, asynchronous: 'true' }, {}] as Record<string, string>[]) {
      const { text } = await postForm(root, `${RUN}/all`, form)
      assert.deepEqual(
        linesOf(text).filter(line => line.startsWith('error: ')),
        ['error: node-fails: exit code 3']
      )
    }
  })
})
