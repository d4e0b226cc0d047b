import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/network/http.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { chooseSeed, seededRandom } from '../support/seeded-random.js'
import { signContent } from '../support/work/signed-files.js'

const ROOT_AND_SUB = [
  { id: 'root', under: 'root', nodes: ['n1', 'n2'] },
  { id: 'sub', under: 'root', nodes: ['s1'] }
]
const ROOT_ALONE = [{ id: 'root', under: 'root', nodes: ['n1', 'n2'] }]

async function kill(tree: RunningTree, id: string): Promise<void> {
  const relay = tree.processes.get(id)
  relay?.signal('SIGKILL')
  await relay?.ended
}

async function putMany(tree: RunningTree, target: string, ttl: string, names: readonly string[]): Promise<void> {
  const { body } = signContent(target, tree.member('n2'), 'any', 'content')
  const left = [...names]
  const work = async () => {
    for (let name = left.pop(); name !== undefined; name = left.pop()) {
      const path = `/shared-files/${target}/n2/${name}?ttl=${ttl}`
      const { status } = await ask(tree.relay('root'), path, { method: 'PUT', body })
      assert.ok(status === 200 || status === 202, String(status))
    }
  }
  await Promise.all(Array.from({ length: 32 }, work))
}

function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
}

function filesOf(tree: RunningTree, relay: string, target: string): string[] {
  const folder = join(tree.relay(relay).sharedFilesPath, target, 'files/n2')
  return existsSync(folder) ? readdirSync(folder).sort() : []
}

function withMetadata(files: readonly string[]): string[] {
  return files.flatMap(name => [name, `${name}.metadata`]).sort()
}

test('killed in the middle of a purge: the next one ends it, and what has not expired stays', async t => {
  const settings = { 'shared_files.cleanup': ['frequency = "1s"'] }
  const tree = await startTree(t, { relays: ROOT_ALONE, settings })
  const staying = names('stays', 100)
  await putMany(tree, 'n1', '1h', staying)
  await putMany(tree, 'n1', '3s', names('goes', 1_500))
  const all = filesOf(tree, 'root', 'n1').length
  await eventually('the purge to begin', () => filesOf(tree, 'root', 'n1').length < all)
  await kill(tree, 'root')
  await tree.restart('root')
  await eventually('the purge to end', () => filesOf(tree, 'root', 'n1').length <= 2 * staying.length)
  assert.deepEqual(filesOf(tree, 'root', 'n1'), withMetadata(staying))
  const { files } = JSON.parse((await ask(tree.relay('root'), '/shared-files/n1')).text)
  assert.equal(files.length, staying.length)
})

test('killed while the outbox is delivered, on either side: all of it arrives, once', async t => {
  const tree = await startTree(t, { relays: ROOT_AND_SUB, absent: ['sub'] })
  const random = seededRandom(chooseSeed())
  const waiting = names('file', 400)
  await putMany(tree, 's1', '1h', waiting)
  await tree.restart('sub')
  for (const victim of ['root', 'sub', 'root']) {
    const wanted = filesOf(tree, 'sub', 's1').length + 1 + Math.floor(random() * 100)
    await ask(tree.relay('root'), '/outbox/retry', { method: 'POST' })
    await eventually('some to arrive', () => filesOf(tree, 'sub', 's1').length >= Math.min(wanted, 2 * waiting.length))
    await kill(tree, victim)
    await tree.restart(victim)
  }
  await eventually('the outbox to be empty', async () => {
    await ask(tree.relay('root'), '/outbox/retry', { method: 'POST' })
    return JSON.parse((await ask(tree.relay('root'), '/outbox')).text).entries.length === 0
  })
  assert.deepEqual(filesOf(tree, 'sub', 's1'), withMetadata(waiting))
  const arrived = join(tree.relay('sub').sharedFilesPath, 's1/files/n2')
  for (const name of waiting) assert.equal(readFileSync(join(arrived, name), 'utf8'), 'content')
  for (const id of ['root', 'sub']) {
    for (const name of ['.incoming~', '.outbox~']) {
      const folder = join(tree.relay(id).sharedFilesPath, name)
      await eventually(`${id} ${name} to be empty`, () => readdirSync(folder).length === 0) // a file goes after its entry
    }
  }
})

test('killed while it imports a nodes list: one whole tree is there, even when the list is broken by then', async t => {
  const tree = await startTree(t, { relays: ROOT_ALONE })
  const relay = tree.relay('root')
  const random = seededRandom(chooseSeed())
  const file = join(relay.directory, 'nodeslist.json')
  const base: Record<string, object> = JSON.parse(readFileSync(file, 'utf8'))
  const listOf = (count: number) => {
    const list = { ...base }
    for (let index = 0; index < count; index += 1) {
      list[`x${count}-${index}`] = { hostname: `x${index}.example.test`, 'policy-server': 'root', 'key-hash': '' }
    }
    return JSON.stringify(list)
  }
  await writeFile(file, listOf(3_999))
  const beganMs = performance.now()
  await ask(relay, '/system/reload', { method: 'POST' })
  const importMs = performance.now() - beganMs // on this machine, as busy as it is
  let possible = new Set([3_999 + 3])
  for (const count of [4_000, 4_001, 4_002, 4_003]) {
    await writeFile(file, listOf(count))
    const reload = ask(relay, '/system/reload', { method: 'POST' }).catch(() => undefined)
    await delay(random() * importMs) // the moment is the point: anywhere within an import
    await kill(tree, 'root')
    await reload
    await writeFile(file, listOf(count).slice(0, 100_000))
    await tree.restart('root')
    const status = JSON.parse((await ask(relay, '/system/status')).text).data
    assert.equal(status.nodes.status, 'error')
    possible.add(count + 3)
    assert.ok(possible.has(status.nodes.count), `${status.nodes.count} nodes`)
    possible = new Set([status.nodes.count])
  }
})

test('killed in the middle of a remote run: the record says interrupted, and what was done stays done', async t => {
  const agent = '#!/bin/sh\nfor last do :; done\ncase "$last" in n1.*) echo done ;; *) exec sleep 30 ;; esac\n'
  const tree = await startTree(t, { relays: ROOT_ALONE, agent })
  const relay = tree.relay('root')
  const form = { asynchronous: 'true', nodes: 'n1,n2' }
  const started = await postForm(relay, '/remote-run/nodes', form)
  const id = String(started.headers['treeline-run-id'])
  const record = async () => JSON.parse((await ask(relay, `/runs/${id}`)).text)
  const outcomes = async () =>
    Object.fromEntries(
      (await record()).node_records.map((node: { node: string; outcome: string }) => [node.node, node.outcome])
    )
  const log = join(relay.storagePath, 'runs', `${id}.ndjson`)
  await eventually('the end of n1 to be on disk', async () => {
    const text = existsSync(log) ? readFileSync(log, 'utf8') : ''
    return text.split('\n').some(line => line.includes('"node":"n1"') && line.includes('"outcome":"done"'))
  })
  await kill(tree, 'root')
  await tree.restart('root')
  assert.deepEqual(await outcomes(), { n1: 'done', n2: 'interrupted' })
  const { ended_at: endedAt, counts } = await record()
  assert.ok(Date.parse(endedAt) > 0)
  assert.deepEqual(counts, { done: 1, interrupted: 1 })
  const events = (await ask(relay, `/runs/${id}/events`)).text.trim().split('\n')
  assert.equal(JSON.parse(events.at(-1) ?? '').event, 'end')
})
