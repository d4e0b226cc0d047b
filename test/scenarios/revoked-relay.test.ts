import assert from 'node:assert/strict'
import { cp, mkdir, readFile, rename, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { steppingClock } from '../support/machine/stepping-clock.js'
import { treeline } from '../support/machine/treeline-command.js'
import {
  certificateOf,
  linksOf,
  type Machine,
  startJoinedTree,
  succeed,
  untilLinked
} from '../support/relays/joined-tree.js'

test('the former certificate of a relay that joined again is of no use with those below it', async t => {
  const tree = await startJoinedTree(t)
  const { root } = tree
  const [relay, below, node] = await Promise.all(['rel-2', 'rel-3', 'node-1'].map(id => tree.machine(id)))
  assert.ok(relay !== undefined && below !== undefined && node !== undefined)
  await succeed(tree.join(relay, await tree.token('--relay')))
  const former = await tree.serve(relay)
  await untilLinked(root, 'rel-2')
  await succeed(tree.join(below, await tree.token('--relay', '--under', 'rel-2')))
  await succeed(tree.join(node, await tree.token('--node', '--under', 'rel-2')))
  const belowProcess = await tree.serve(below)
  const agent = tree.agent(node)
  await untilLinked(relay, 'node-1', 'rel-3')
  await former.stop()
  const copy: Machine = { ...relay, folder: join(tree.folder, 'rel-2-copy') }
  await cp(relay.folder, copy.folder, { recursive: true })
  const stolen = (await certificateOf(copy)).fingerprint256.replaceAll(':', '').toLowerCase()

  const listAt = async ({ local }: Machine, has = '""') => {
    const answer = await fetch(`http://${local}/rudder/relay-api/v1/revocations`, { headers: { 'if-none-match': has } })
    return { status: answer.status, tag: answer.headers.get('etag') ?? '', text: await answer.text() }
  }
  assert.equal((await listAt(root)).status, 204, 'there is nothing to tell')
  for (const key of ['tls.key', 'sign.key']) await rename(join(relay.folder, key), join(tree.folder, `former-${key}`))
  await succeed(treeline(t, [...(await tree.token('--relay', '--id', 'rel-2')), '--dir', relay.folder]))
  const blocked = [below, node].map(({ folder }) => join(folder, 'data', 'revocations'))
  for (const place of blocked) await mkdir(place) // no list can be written there
  const renewed = await tree.serve(relay)
  const notWritten = 'cannot write the list of revoked certificates'
  await agent.printed(notWritten)
  await eventually('the fault at rel-3', () => belowProcess.log.some(line => line.includes(notWritten)))
  for (const place of blocked) await rmdir(place)
  const listOf = ({ folder }: Machine) => readFile(join(folder, 'data', 'revocations'), 'utf8').catch(() => '')
  for (const machine of [node, below]) {
    await eventually(`the list at ${machine.id}`, async () => (await listOf(machine)).includes(`\n${stolen} `))
  }
  await untilLinked(relay, 'node-1', 'rel-3')
  assert.equal((await tree.ask(relay, 'run', 'node-1')).code, 0)
  const { status, tag, text } = await listAt(root)
  assert.equal(status, 200)
  assert.deepEqual(await listAt(relay), { status, tag, text })
  assert.equal((await listAt(relay, tag)).status, 304)
  await renewed.stop()

  await tree.serve(copy)
  await agent.printed(`the certificate of rel-2 (sha256:${stolen}) was revoked`)
  await eventually('the refusal of the relay below', () =>
    belowProcess.log.some(line => line.includes(`(sha256:${stolen}) was revoked`))
  )
  assert.deepEqual(await linksOf(copy), [])
  const order = await tree.ask(copy, 'run', 'node-1')
  assert.notEqual(order.code, 0, order.stdout)
  const asked = await tree.ask(node, 'trace', 'node-1')
  assert.equal(asked.code, 1)
  assert.match(asked.stderr, /the certificate of rel-2 .* was revoked/)
})

test('what was revoked stays so: restarted without the root, and at a root that lost its database and an hour', async t => {
  const tree = await startJoinedTree(t)
  const { root, rootProcess } = tree
  const [gone, witness, later] = await Promise.all(['rel-2', 'rel-3', 'rel-4'].map(id => tree.machine(id)))
  assert.ok(gone !== undefined && witness !== undefined && later !== undefined)
  for (const relay of [gone, witness, later]) await succeed(tree.join(relay, await tree.token('--relay')))
  const first = await tree.serve(witness)
  await untilLinked(root, 'rel-3')
  const fingerprint = async (machine: Machine) =>
    (await certificateOf(machine)).fingerprint256.replaceAll(':', '').toLowerCase()
  const listAt = async ({ local }: Machine) => {
    const text = await (await fetch(`http://${local}/rudder/relay-api/v1/revocations`)).text()
    return { number: Number(/^number (\d+)$/m.exec(text)?.[1] ?? 0), text }
  }
  await succeed(tree.ask(root, 'nodes', 'remove', 'rel-2'))
  const before = await listAt(root)
  assert.ok(before.text.includes(`\n${await fingerprint(gone)} `))
  await eventually('the list at rel-3', async () => (await listAt(witness)).text === before.text)
  const metricsAt = async ({ local }: Machine) => {
    const text = await (await fetch(`http://${local}/metrics`)).text()
    return new Map(
      [...text.matchAll(/^treeline_revocation_list_(\w+) (.*)$/gm)].map(([, name, value]) => [name, Number(value)])
    )
  }
  const known = [
    ['number', before.number],
    ['entries', 1]
  ]
  assert.deepEqual([...(await metricsAt(root))], known)
  const confirmed = 'confirmed_timestamp_seconds'
  await eventually(
    'an answer of the root',
    async () => ((await metricsAt(witness)).get(confirmed) ?? 0) > 1_600_000_000
  )
  assert.deepEqual([...(await metricsAt(witness))].slice(0, 2), known)

  await first.stop()
  await rootProcess.stop()
  const again = await tree.serve(witness)
  assert.equal((await listAt(witness)).text, before.text, 'in force before the root can be asked')
  assert.ok(!again.log.some(line => line.includes('stored list of revoked certificates')))

  for (const suffix of ['', '-wal', '-shm']) await rm(join(root.folder, `data/state.db${suffix}`), { force: true })
  await succeed(tree.ask(root, 'nodes', 'restore'))
  const clock = steppingClock(join(tree.folder, 'clock'), { offsetSeconds: -3_600 })
  await tree.serve(root, clock.environment)
  await succeed(tree.ask(root, 'nodes', 'remove', 'rel-4'))
  const after = await listAt(root)
  assert.ok(after.number > before.number, 'else the members would not take it')
  for (const machine of [gone, later]) assert.ok(after.text.includes(`\n${await fingerprint(machine)} `))
  await eventually('the newer list at rel-3', async () => (await listAt(witness)).text === after.text)
})
