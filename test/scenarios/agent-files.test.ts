import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chownSync,
  existsSync,
  lchownSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { eventually } from '../support/eventually.js'
import { treeline } from '../support/machine/treeline-command.js'
import { ask } from '../support/network/http.js'
import { keyHashOf } from '../support/parts/shared-file-relays.js'
import { startAgent } from '../support/relays/agents.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { editNodesList } from '../support/relays/tree-files.js'
import { type SignedFile, signContent, signTimed } from '../support/work/signed-files.js'

const HOUR_MS = 3_600_000
const RELAYS = [{ id: 'root', under: 'root', nodes: ['node-1', 'node-2'] }]

async function put(tree: RunningTree, fileId: string, content: string, from = 'node-2'): Promise<void> {
  await putSigned(tree, signContent('node-1', tree.member(from), fileId, content))
}

async function putSigned(tree: RunningTree, file: SignedFile): Promise<void> {
  const answer = await ask(tree.relay('root'), `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
  assert.equal(answer.status, 200, answer.text)
}

test('an agent receives the files that it is told of, whole or not at all, and runs their commands', async t => {
  const key = { kind: 'ed25519', seed: randomBytes(32) } as const
  const tree = await startTree(t, {
    relays: [{ id: 'root', under: 'root', nodes: ['node-1', 'node-2', 'timed'] }],
    absent: ['root']
  })
  await editNodesList(tree.relay('root'), ({ timed }) => {
    if (timed !== undefined) timed['key-hash'] = keyHashOf(key)
  })
  await tree.restart('root')
  const folder = join(tree.folder, 'received')
  await mkdir(folder)
  const destination = join(folder, 'policy.conf')
  const [uid = 0, gid = 0] = [process.getuid?.(), process.getgid?.()]
  // only root can give files away
  const owner = uid === 0 ? { uid: 4_242, gid: 4_243 } : { uid, gid }
  const foreign = join(tree.folder, 'foreign')
  const linked = join(folder, 'linked')
  await mkdir(foreign)
  symlinkSync(destination, linked)
  if (uid === 0) chownSync(foreign, owner.uid, owner.gid)
  if (uid === 0) lchownSync(linked, owner.uid, owner.gid)
  const after = join(folder, 'after')
  writeFileSync(after, '#!/bin/sh\ncat "$1" >> "$0.seen"; echo >> "$0.seen"\n', { mode: 0o755 })
  await put(tree, 'policy.conf', 'before the agent was there')
  const agent = await startAgent(t, tree, 'node-1', {
    more: `
[[agent.receive]]
source = "node-2"
file_id = "policy.conf"
destination = "${destination}"
mode = "0640"
owner = "${owner.uid}:${owner.gid}"
command = ["${after}", "${destination}"]
[[agent.receive]]
source = "node-2"
file_id = "stranger"
destination = "${join(folder, 'stranger')}"
source_key_hash = "${tree.member('root').certificate.keyHash}"
[[agent.receive]]
source = "node-2"
file_id = "misplaced"
destination = "${join(foreign, 'file')}"
[[agent.receive]]
source = "node-2"
file_id = "misled"
destination = "${linked}"
[[agent.receive]]
source = "timed"
file_id = "timed"
destination = "${join(folder, 'timed')}"`
  })
  const seen = () => (existsSync(`${after}.seen`) ? readFileSync(`${after}.seen`, 'utf8').trim().split('\n') : [])

  await eventually('the file that was there', () => seen().length === 1)
  assert.equal(readFileSync(destination, 'utf8'), 'before the agent was there')
  assert.equal(statSync(destination).mode & 0o777, 0o640)
  assert.deepEqual([statSync(destination).uid, statSync(destination).gid], [owner.uid, owner.gid])

  const former = statSync(destination).ino
  await put(tree, 'policy.conf', 'a new one')
  await eventually('the new one', () => seen().length === 2)
  assert.deepEqual(seen(), ['before the agent was there', 'a new one'])
  assert.notEqual(statSync(destination).ino, former, 'it was replaced, not overwritten')

  await t.test('one that is signed by another key than that of the configuration is not put in place', async () => {
    await put(tree, 'stranger', 'signed by node-2')
    await eventually('the refusal', () => agent.log.some(line => line.includes('is not signed by node-2')))
    assert.equal(existsSync(join(folder, 'stranger')), false)
  })

  await t.test('nothing is written into a folder of somebody else, nor through a link of theirs', async () => {
    if (uid !== 0) return // where nobody else has folders
    await put(tree, 'misplaced', 'x')
    await put(tree, 'misled', 'x')
    const refusals = [`the folder ${foreign} belongs to user 4242`, `${linked} is a link of user 4242`]
    const problems = await eventually('both refusals', async () => {
      const { node } = JSON.parse((await ask(tree.relay('root'), '/trace/node-1')).text)
      const shown = (node.file_problems as string[]).join('\n')
      return refusals.every(refusal => shown.includes(refusal)) && shown
    })
    for (const refusal of refusals)
      assert.ok(
        agent.log.some(line => line.includes(refusal)),
        problems
      )
    assert.deepEqual(readdirSync(foreign), [])
    assert.equal(readFileSync(destination, 'utf8'), 'a new one')
  })

  await t.test('one that was signed before the one in place is not taken from a relay that forgot', async () => {
    const nowMs = Date.now()
    const make = (content: string, signedAtMs: number) =>
      signTimed(key, tree.member('timed'), 'node-1', 'timed', content, signedAtMs)
    const inPlace = () => existsSync(join(folder, 'timed')) && readFileSync(join(folder, 'timed'), 'utf8')
    await putSigned(tree, make('the newest', nowMs))
    await eventually('the newest', () => inPlace() === 'the newest')
    const { sharedFilesPath, storagePath } = tree.relay('root')
    await tree.processes.get('root')?.stop()
    for (const path of [sharedFilesPath, storagePath]) rmSync(path, { recursive: true })
    await tree.restart('root')
    await putSigned(tree, make('one from before', nowMs - HOUR_MS))
    await eventually('the refusal', () => agent.log.some(line => line.includes('an older file is not taken again')))
    assert.equal(inPlace(), 'the newest')
    await put(tree, 'policy.conf', 'a new one') // as before
  })

  await t.test('after a restart, what is in place is left alone', async () => {
    agent.signal('SIGTERM')
    await agent.ended
    const again = await agent.restart()
    await eventually('its look', () => again.log.some(line => line.includes('in place already')))
    assert.equal(seen().length, 2)
    await put(tree, 'policy.conf', 'a third one')
    await eventually('the third one', () => seen().includes('a third one'))
    assert.equal(seen().length, 3)
    again.signal('SIGTERM')
    await again.ended
  })
})

test('an agent shares the files that it watches, as they change', async t => {
  const tree = await startTree(t, { relays: RELAYS })
  const path = join(tree.folder, 'report.json')
  writeFileSync(path, 'first')
  const fifo = join(tree.folder, 'fifo')
  await promisify(execFile)('mkfifo', [fifo])
  const agent = await startAgent(t, tree, 'node-2', {
    more: `
[[agent.share]]
target = "node-1"
file_id = "fifo"
path = "${fifo}"
ttl = "1h"
[[agent.share]]
target = "node-1"
file_id = "report"
path = "${path}"
ttl = "1h"`
  })
  const kept = async () => {
    const answer = await ask(tree.relay('root'), '/rudder/relay-api/shared-files/node-1/node-2/report', {
      as: tree.member('node-1')
    })
    return answer.status === 200 && answer.text
  }
  assert.equal(await eventually('the first', kept), 'first')
  writeFileSync(path, 'second')
  await eventually('the second', async () => (await kept()) === 'second')
  writeFileSync(`${path}.new`, 'third')
  renameSync(`${path}.new`, path)
  await eventually('the third', async () => (await kept()) === 'third')

  await t.test('a relay that has lost its files gets them again as soon as the link opens', async () => {
    const { sharedFilesPath } = tree.relay('root')
    await tree.processes.get('root')?.stop()
    rmSync(sharedFilesPath, { recursive: true })
    await mkdir(join(sharedFilesPath, '.incoming~'), { recursive: true })
    await tree.restart('root')
    await eventually('the third again', async () => (await kept()) === 'third')
  })

  await t.test('a FIFO among them is refused, and neither holds up the others nor the stop', async () => {
    await eventually('the refusal', () => agent.log.some(line => line.includes('fifo is a FIFO; name a file')))
    agent.signal('SIGTERM')
    await agent.ended
    assert.ok(agent.log.some(line => line.includes('"stopped"')))
  })
})

test("commands take the address, the keys and the node id from an agent's folder, or from where the environment says", async t => {
  const relays = [...RELAYS, { id: 'sub', under: 'root', nodes: ['node-3'] }]
  const tree = await startTree(t, { relays })
  const [one, two] = [await startAgent(t, tree, 'node-1'), await startAgent(t, tree, 'node-2')]
  const file = join(tree.folder, 'by-hand')
  writeFileSync(file, 'shared by hand')
  const shared = await treeline(t, ['share', 'node-1', 'by-hand', file, '--ttl', '1h', '-c', two.directory])
  assert.equal(shared.code, 0, shared.stderr)
  const fetched = await treeline(t, ['fetch', 'node-2', 'by-hand', `${file}.fetched`], {
    TREELINE_CONFIG: one.directory
  })
  assert.equal(fetched.code, 0, fetched.stderr)
  assert.equal(readFileSync(`${file}.fetched`, 'utf8'), 'shared by hand')
  const method = await treeline(t, [
    'method',
    'sharedfile_to_node',
    'node-1',
    'by-method',
    file,
    '1h',
    '-c',
    two.directory
  ])
  assert.equal(method.stdout, 'result_repaired\n', method.stderr)
  const way = await treeline(t, ['trace', 'node-1', '-c', one.directory])
  assert.equal(way.code, 0, way.stderr)
  assert.match(way.stdout, /node-1 answers/)
  const other = await treeline(t, ['trace', 'node-2', '-c', one.directory])
  assert.equal(other.code, 1)
  assert.match(other.stderr, /not allowed for the node node-1/)
  await tree.processes.get('sub')?.stop()
  for (const [source, fileId] of [
    ['node-1', 'of-one'],
    ['node-2', 'of-two']
  ] as const) {
    const waits = signContent('node-3', tree.member(source), fileId, 'x')
    assert.equal(
      (await ask(tree.relay('root'), `${waits.path}?ttl=1h`, { method: 'PUT', body: waits.body })).status,
      202
    )
  }
  const own = await treeline(t, ['outbox', 'list', '--json', '-c', two.directory])
  assert.equal(own.code, 0, own.stderr)
  assert.deepEqual(
    (JSON.parse(own.stdout) as { file_id: string }[]).map(({ file_id }) => file_id),
    ['of-two']
  )
  const dropped = await treeline(t, ['outbox', 'retry', '-c', two.directory])
  assert.match(dropped.stderr, /not allowed for the node node-2/)
  const environment = { TREELINE_SERVER: tree.relay('root').localUrl, TREELINE_CONFIG: '/nowhere' }
  const listed = await treeline(t, ['outbox', 'list'], environment)
  assert.equal(listed.code, 0, listed.stderr)
  for (const agent of [one, two]) agent.signal('SIGTERM')
  await Promise.all([one.ended, two.ended]) // before their folder is removed
})

test('a command that hangs holds up no other file of the agent, is shown, and ends with the agent', async t => {
  const tree = await startTree(t, { relays: RELAYS })
  const folder = join(tree.folder, 'received')
  await mkdir(folder)
  const shared = join(folder, 'shared')
  writeFileSync(shared, 'shared')
  const receive = (name: string) =>
    `[[agent.receive]]\nsource = "node-2"\nfile_id = "${name}"\ndestination = "${join(folder, name)}"\n`
  const agent = await startAgent(t, tree, 'node-1', {
    more: `${receive('hanging')}command = ["/bin/sh", "-c", "sleep 3000"]
${receive('other')}
[[agent.share]]\ntarget = "node-2"\nfile_id = "shared"\npath = "${shared}"\nttl = "1h"`
  })
  await put(tree, 'hanging', 'x')
  await eventually('the hanging one', () => agent.log.some(line => line.includes('file received')))
  await put(tree, 'other', 'other')
  writeFileSync(shared, 'changed')
  const isThere = (path: string, content: string) => existsSync(path) && readFileSync(path, 'utf8') === content
  await eventually('the other file', () => isThere(join(folder, 'other'), 'other'))
  const kept = join(tree.relay('root').sharedFilesPath, 'node-2/files/node-1/shared')
  await eventually('the changed one', () => isThere(kept, 'changed'))
  const { text } = await ask(tree.relay('root'), '/trace/node-1')
  assert.match(text, /agent\.receive\[0\]: its command \/bin\/sh has run since 20/)
  assert.ok(agent.log.some(line => line.includes('command of a received file still runs; other files go on')))
  agent.signal('SIGTERM')
  assert.deepEqual(await agent.ended, [0, null])
})
