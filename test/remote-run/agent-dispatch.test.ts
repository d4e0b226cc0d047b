import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import test from 'node:test'
import type { HopOutcome } from '../../src/hops/hop.js'
import { NDJSON } from '../../src/network/header-names.js'
import type { RunOrder } from '../../src/remote-run/run-types.js'
import { eventually } from '../support/eventually.js'
import { allEvents, orderOf, outcomesOf, startRuns, topologyOf } from '../support/parts/remote-runs.js'
import { answered, done, hopOf, linkOf, ndjson, refused } from '../support/parts/run-hops.js'

const TOPOLOGY = topologyOf('self', { one: 'self', two: 'self', relay: 'self', below: 'relay' })

function gone(sent: boolean): HopOutcome {
  return { kind: 'unreachable', reason: 'the link was closed', sent }
}

test('a linked node runs itself, under the name of this relay', async t => {
  const one = hopOf('one', () => done('one'))
  const { runs } = await startRuns(t, { topology: TOPOLOGY, linked: linkOf(one) })
  const run = await runs.start(orderOf({ nodes: ['one', 'two'], conditions: ['x'] }))
  const events = await allEvents(run)
  assert.deepEqual(outcomesOf(events), { one: 'done 0', two: 'done 0' })
  assert.deepEqual(
    events.filter(({ node }) => node === 'one').map(({ relay }) => relay),
    ['self', 'self', 'self']
  )
  assert.deepEqual(
    (await runs.nodeRecords(run.id, 10)).map(({ node, reached }) => [node, reached]),
    [
      ['one', 'link'],
      ['two', 'command']
    ]
  )
  assert.equal(one.requests[0]?.path, 'remote-run/nodes/one')
  assert.equal(one.requests[0]?.headers['treeline-run-id'], run.id)
})

for (const [what, outcome] of [
  ['whose link goes before anything is sent', () => gone(false)],
  ['that does not run itself', () => refused(404, 'unknown node')]
] as const) {
  test(`a node ${what} is run by the command`, async t => {
    const { runs } = await startRuns(t, { topology: TOPOLOGY, linked: linkOf(hopOf('one', outcome)) })
    const run = await runs.start(orderOf({ nodes: ['one'] }))
    assert.deepEqual(outcomesOf(await allEvents(run)), { one: 'done 0' })
    assert.deepEqual(
      (await runs.nodeRecords(run.id, 10)).map(({ reached }) => reached),
      ['command']
    )
  })
}

test('where the command cannot be started for a node that should hold a link, that is told too', async t => {
  const config = { command: '/nonexistent/command' }
  const { runs } = await startRuns(t, { topology: TOPOLOGY, config, shouldHoldLink: id => id !== 'two' })
  const run = await runs.start(orderOf({ nodes: ['one', 'two', 'relay'] }))
  await run.ended
  const why = 'cannot start /nonexistent/command: there is no such command; check the setting of command'
  assert.deepEqual(
    (await runs.nodeRecords(run.id, 10)).map(({ node, message, unreached }) => [node, message, unreached?.reason]),
    [
      ['one', `it holds no link now, and by the command: ${why}`, `it holds no link now, and by the command: ${why}`],
      ['relay', why, why],
      ['two', why, why]
    ]
  )
})

test('a run that waits does not wait for a node that is linked and does not run itself, nor ask it again', async t => {
  const one = hopOf('one', () => refused(404, 'unknown node'))
  const { runs } = await startRuns(t, { topology: TOPOLOGY, linked: linkOf(one), shouldHoldLink: () => true })
  const run = await runs.start(orderOf({ nodes: ['one'], asynchronous: true, waitUntilMs: Date.now() + 60_000 }))
  assert.deepEqual(outcomesOf(await allEvents(run)), { one: 'done 0' })
  assert.equal(one.requests.length, 1)
})

test('a run that waits runs a sub-relay itself by the command at once, with or without its link', async t => {
  const { runs } = await startRuns(t, { topology: TOPOLOGY, shouldHoldLink: () => true })
  const run = await runs.start(orderOf({ nodes: ['relay'], asynchronous: true, waitUntilMs: Date.now() + 60_000 }))
  assert.deepEqual(outcomesOf(await allEvents(run)), { relay: 'done 0' })
  assert.equal((await runs.nodeRecords(run.id, 1))[0]?.reached, 'command')
})

test('a node whose link goes once the order may have come is not run a second time by the command', async t => {
  const one = hopOf('one', () => gone(true))
  const { runs } = await startRuns(t, { topology: TOPOLOGY, linked: linkOf(one) })
  const run = await runs.start(orderOf({ nodes: ['one'] }))
  const events = await allEvents(run)
  assert.deepEqual(outcomesOf(events), { one: 'unreachable' })
  assert.equal(events.filter(({ event }) => event === 'error').length, 0, 'its outcome says all')
  assert.match(one.requests.at(-1)?.path ?? '', /\/cancel$/)
})

test('a sub-relay that holds a link is run by the command: its link leads to what is below it', async t => {
  const relay = hopOf('relay', () => done('below'))
  const { runs } = await startRuns(t, { topology: TOPOLOGY, linked: linkOf(relay), hops: [relay] })
  const run = await runs.start(orderOf())
  assert.deepEqual(outcomesOf(await allEvents(run)), {
    one: 'done 0',
    two: 'done 0',
    relay: 'done 0',
    below: 'done 0'
  })
  assert.deepEqual(
    relay.requests.map(({ path }) => path),
    ['remote-run/all']
  )
})

test('where no command stands in, a sub-relay runs its own machine over its link, as a run of its own', async t => {
  const relay = hopOf('relay', ({ path }) => done(path === 'remote-run/all' ? 'below' : 'relay'))
  const { runs } = await startRuns(t, {
    topology: TOPOLOGY,
    config: { fallbackCommand: false },
    linked: linkOf(relay),
    hops: [relay]
  })
  const run = await runs.start(orderOf())
  assert.deepEqual(outcomesOf(await allEvents(run)), {
    one: 'unreachable',
    two: 'unreachable',
    relay: 'done 0',
    below: 'done 0'
  })
  const asked = relay.requests.map(({ path, headers }) => [path, headers['treeline-run-id'] === run.id])
  assert.deepEqual(asked.sort(), [
    ['remote-run/all', true],
    ['remote-run/nodes/relay', false]
  ])
})

test('a sub-relay that does not run itself is unreachable, and says why', async t => {
  const relay = hopOf('relay', () => refused(404, 'unknown node'))
  const { runs } = await startRuns(t, {
    topology: TOPOLOGY,
    config: { fallbackCommand: false },
    linked: linkOf(relay)
  })
  const run = await runs.start(orderOf({ nodes: ['relay'] }))
  assert.deepEqual(outcomesOf(await allEvents(run)), { relay: 'unreachable' })
  assert.match((await runs.nodeRecords(run.id, 1))[0]?.message ?? '', /it does not run itself/)
})

test('a relay runs its own machine when it is asked for by its id, and not with all others', async t => {
  const topology = topologyOf('relay', { relay: 'root', one: 'relay' })
  const config = { fallbackCommand: false, ownArguments: ['agent', 'run'] }
  const { runs } = await startRuns(t, { topology, config, command: '#!/bin/sh\necho "$@"\n' })
  const events = await allEvents(
    await runs.start(orderOf({ nodes: ['relay'], isSingle: true, conditions: ['a', 'b'] }))
  )
  assert.deepEqual(outcomesOf(events), { relay: 'done 0' })
  assert.equal(events.find(({ data }) => data !== undefined)?.data, 'agent run -D a,b\n')
  assert.deepEqual(outcomesOf(await allEvents(await runs.start(orderOf()))), { one: 'unreachable' })
})

test('with arguments of its own, this machine is not in a batch with others', async t => {
  const topology = topologyOf('root', { root: 'root', one: 'root', two: 'root' })
  const config = { ownArguments: ['agent', 'run'], batchSize: 10 }
  const { runs } = await startRuns(t, { topology, config, command: '#!/bin/sh\necho "$@"\n' })
  const said = (await allEvents(await runs.start(orderOf()))).flatMap(({ data }) => data ?? [])
  assert.deepEqual(said.sort(), ['agent run\n', 'remote run -- one.example,two.example\n'])
})

test('a run that waits gives its order again to who took nothing: a sub-relay, a node, each asked once for each link', async t => {
  const links: ((id: string) => void)[] = []
  const busy = (): HopOutcome => ({
    kind: 'unreachable',
    reason: 'it answered 503: is stopping',
    status: 503,
    sent: true
  })
  let isBusy = true
  const one = hopOf('one', () => (isBusy ? busy() : done('one')))
  const relay = hopOf('relay', () => (isBusy ? busy() : done('below')))
  const { runs } = await startRuns(t, {
    topology: TOPOLOGY,
    linked: linkOf(one, relay),
    hops: [relay],
    shouldHoldLink: () => true,
    onLinked: listener => links.push(listener)
  })
  const run = await runs.start(
    orderOf({ nodes: ['one', 'below'], asynchronous: true, waitUntilMs: Date.now() + 60_000 })
  )
  const outcomes = async () => (await runs.nodeRecords(run.id, 10)).map(({ outcome }) => outcome)
  await eventually('both to have been asked', () => one.requests.length === 1 && relay.requests.length === 1)
  assert.deepEqual(await outcomes(), ['queued', 'queued'])
  isBusy = false
  for (const id of ['one', 'relay']) for (const tell of links) tell(id)
  assert.deepEqual(outcomesOf(await allEvents(run)), { one: 'done 0', below: 'done 0' })
  assert.deepEqual([one.requests.length, relay.requests.length], [2, 2])
  const ids = new Set([...one.requests, ...relay.requests].map(({ headers }) => headers['treeline-run-id']))
  assert.deepEqual([...ids], [run.id], 'which is taken once only')
})

test('what is wrong for longer is not waited for, and a node that takes nothing is run by the command without a wait', async t => {
  const answer = (status: number) => (): HopOutcome => ({
    kind: 'unreachable',
    reason: `it answered ${status}`,
    status,
    sent: true
  })
  const relay = hopOf('relay', answer(500))
  const one = hopOf('one', answer(503))
  const { runs } = await startRuns(t, { topology: TOPOLOGY, linked: linkOf(one), hops: [relay] })
  const waiting = await runs.start(orderOf({ nodes: ['below'], asynchronous: true, waitUntilMs: Date.now() + 60_000 }))
  assert.deepEqual(outcomesOf(await allEvents(waiting)), { below: 'unreachable' })
  assert.deepEqual(outcomesOf(await allEvents(await runs.start(orderOf({ nodes: ['one'] })))), { one: 'done 0' })
})

test('why a node takes no runs is told where no command stands in', async t => {
  const reason = 'it answered 503: the disk that holds storage.path (/data) reports errors'
  const one = hopOf('one', () => ({ kind: 'unreachable', reason, status: 503, sent: true }))
  const { runs } = await startRuns(t, {
    topology: TOPOLOGY,
    linked: linkOf(one),
    config: { fallbackCommand: false },
    shouldHoldLink: () => true
  })
  const messageOf = async (order: Partial<RunOrder>) => {
    const run = await runs.start(orderOf({ nodes: ['one'], ...order }))
    const message = async () => (await runs.nodeRecords(run.id, 1))[0]?.message
    return eventually('a message', message)
  }
  assert.equal(await messageOf({}), `it takes no runs now, and remote_run.fallback_command is false (${reason})`)
  const waits = await messageOf({ asynchronous: true, waitUntilMs: Date.now() + 60_000 })
  assert.equal(waits, `waits until it takes runs again (${reason})`)
})

test('a node speaks for itself alone', async t => {
  const text = ndjson([
    { event: 'node', node: 'two', outcome: 'done', exit_code: 0 },
    { event: 'output', node: 'two', stream: 'stdout', data: 'as two\n' },
    { event: 'error', node: 'two', message: 'as two' },
    { event: 'end', outcome: 'done' }
  ])
  const { runs } = await startRuns(t, {
    topology: TOPOLOGY,
    command: '#!/bin/sh\nexit 5\n',
    linked: linkOf(hopOf('one', () => answered(NDJSON, Readable.from([Buffer.from(text)]))))
  })
  const events = await allEvents(await runs.start(orderOf({ nodes: ['one', 'two'] })))
  assert.deepEqual(outcomesOf(events), { one: 'unknown', two: 'done 5' })
  assert.equal(events.filter(({ data, message }) => `${data}${message}`.includes('as two')).length, 0)
})

test('without a command to stand in: a node that holds no link is unreachable, and the own one runs', async t => {
  const one = hopOf('one', () => done('one'))
  const { runs } = await startRuns(t, {
    topology: topologyOf('root', { root: 'root', one: 'root', two: 'root' }),
    linked: linkOf(one),
    config: { fallbackCommand: false }
  })
  const run = await runs.start(orderOf({ nodes: ['one', 'two', 'root'] }))
  assert.deepEqual(outcomesOf(await allEvents(run)), { one: 'done 0', two: 'unreachable', root: 'done 0' })
  const two = (await runs.nodeRecords(run.id, 10)).find(({ node }) => node === 'two')
  assert.deepEqual(two?.unreached, {
    from: 'root',
    to: 'two',
    reason: 'it holds no link, and remote_run.fallback_command is false'
  })
})
