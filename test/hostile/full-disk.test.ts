import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { eventually } from '../support/eventually.js'
import { mountSmallDisk } from '../support/machine/small-disk.js'
import { ask, postForm } from '../support/network/http.js'
import { getJson, startJoinedTree } from '../support/relays/joined-tree.js'
import { assertNoLeftovers, assertServes } from '../support/relays/relay-health.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { editConfig } from '../support/relays/tree-files.js'
import { type SignedFile, signContent } from '../support/work/signed-files.js'

/** `sub` is away, so what is for `s1` goes to the outbox. */
const RELAYS = [
  { id: 'root', under: 'root', nodes: ['n1', 'n2'] },
  { id: 'sub', under: 'root', nodes: ['s1'] }
]
const MIB = 1024 * 1024
const FULL =
  /^the disk that holds \S+ \(\S+\) is full; nothing was stored, free some space \(or inodes, see df -i\) or try again later\n$/

function put(tree: RunningTree, file: SignedFile) {
  return ask(tree.relay('root'), `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
}

/** What the two that watch over a relay are told of its disks. */
async function assertStorage(tree: RunningTree, expected: RegExp | undefined): Promise<void> {
  const root = tree.relay('root')
  await eventually(`storage: ${expected}`, async () => {
    const { storage } = JSON.parse((await ask(root, '/system/status')).text).data
    const isAsExpected = expected === undefined ? storage.status === 'success' : expected.test(storage.details ?? '')
    const { status, text } = await ask(root, '/v1/system/ready')
    const says = expected === undefined ? /^{"status":"ready"}$/ : /"not ready".*a disk is full, or a folder/
    return isAsExpected && status === (expected === undefined ? 200 : 500) && says.test(text)
  })
}

async function headStatus(tree: RunningTree, file: SignedFile): Promise<number> {
  return (await ask(tree.relay('root'), `${file.path}?hash=${file.hash}`, { method: 'HEAD' })).status
}

/** 507, and neither a file nor a part of one is anywhere. */
async function assertNotStored(
  tree: RunningTree,
  sharedFiles: string,
  file: SignedFile,
  message: RegExp
): Promise<void> {
  const answer = await put(tree, file)
  assert.equal(answer.status, 507, answer.text)
  assert.match(answer.text, message)
  assert.equal(await headStatus(tree, file), 404)
  assert.deepEqual(readdirSync(join(sharedFiles, '.incoming~')), [])
  assert.deepEqual(readdirSync(join(sharedFiles, '.outbox~')), [])
  const [, target = '', name = ''] = /shared-files\/(\w+)\/n2\/(\w+)$/.exec(file.path) ?? []
  assert.ok(!existsSync(join(sharedFiles, target, 'files/n2', name)))
  assert.ok(!existsSync(join(sharedFiles, target, 'files/n2', `${name}.metadata`)))
}

/** Starts root with one of its folders on a disk of its own. */
async function startOnDisk(t: TestContext, section: string, mebibytes: number) {
  const disk = await mountSmallDisk(t, mebibytes) // first, so that it goes even if the tree's folder can't be removed
  if (disk === undefined) return undefined
  const tree = await startTree(t, { relays: RELAYS, absent: ['root', 'sub'] })
  const root = tree.relay('root')
  const folder = section === 'storage' ? root.storagePath : root.sharedFilesPath
  await editConfig(root, text => text.replace(`path = "${folder}"`, `path = "${disk.path}"`))
  await tree.restart('root')
  return { tree, disk }
}

test('the disk of shared files is full: 507, and everything else goes on', async t => {
  const started = await startOnDisk(t, 'shared_files', 8)
  if (started === undefined) return
  const { tree, disk } = started
  const sender = tree.member('n2')
  const kept = signContent('n1', sender, 'kept', 'was there before')
  assert.equal((await put(tree, kept)).status, 200)
  const large = signContent('n1', sender, 'large', Buffer.alloc(4 * MIB, 'x'))
  const waiting = signContent('s1', sender, 'waiting', Buffer.alloc(MIB, 'x'))
  const small = signContent('n1', sender, 'small', 'small')

  await disk.fill(2 * MIB)
  await assertNotStored(tree, disk.path, large, FULL)
  assert.equal((await put(tree, signContent('n1', sender, 'fits', Buffer.alloc(MIB, 'x')))).status, 200)
  await disk.fill()
  await assertStorage(tree, /^the disk that holds shared_files\.path \(\S+\) is full/)
  for (const file of [small, waiting, large]) await assertNotStored(tree, disk.path, file, FULL)
  const replacing = signContent('n1', sender, 'kept', 'another content')
  assert.equal((await put(tree, replacing)).status, 507)
  assert.equal(await headStatus(tree, kept), 200)
  const got = await ask(tree.relay('root'), kept.path)
  assert.deepEqual([got.status, got.text], [200, 'was there before'])
  const many = await Promise.all(Array.from({ length: 50 }, () => put(tree, large)))
  assert.deepEqual([...new Set(many.map(({ status }) => status))], [507])
  assert.equal((await postForm(tree.relay('root'), '/remote-run/nodes/n1', {})).status, 200)

  await disk.empty()
  assert.equal((await put(tree, large)).status, 200)
  assert.equal((await put(tree, waiting)).status, 202)
  assert.equal((await put(tree, replacing)).status, 200)
  assert.deepEqual(readdirSync(join(disk.path, '.incoming~')), [])
  await assertStorage(tree, undefined)

  await disk.setReadOnly(true)
  const readOnly = /^shared_files\.path \(\S+\) is on a file system that is read-only now; [^\n]+\n$/
  for (const file of [small, waiting, large]) {
    const answer = await put(tree, file)
    assert.equal(answer.status, 503, answer.text)
    assert.match(answer.text, readOnly)
    assert.ok(Number(answer.headers['retry-after']) > 0)
  }
  assert.equal((await ask(tree.relay('root'), kept.path)).text, 'another content')
  await assertStorage(tree, /read-only/)
  await disk.setReadOnly(false)
  assert.equal((await put(tree, small)).status, 200)

  await disk.mountWithin('n2')
  const elsewhere = signContent('n2', sender, 'elsewhere', 'no rename leads there')
  const split = await put(tree, elsewhere)
  assert.equal(split.status, 503, split.text)
  assert.match(
    split.text,
    /^parts of shared_files\.path \(\S+\) are on different file systems; everything in it has to /
  )
  assert.equal(await headStatus(tree, elsewhere), 404)
  assert.deepEqual(readdirSync(join(disk.path, '.incoming~')), [])
  assert.equal((await put(tree, signContent('n1', sender, 'here', 'a rename leads here'))).status, 200)
})

test('what cannot be put in place, and a relay that has too many files open: 503, with the place and what to do', async t => {
  const tree = await startTree(t, { relays: RELAYS, absent: ['sub'] })
  const file = signContent('n1', tree.member('n2'), 'taken', 'content')
  const { sharedFilesPath, storagePath } = tree.relay('root')
  await mkdir(join(sharedFilesPath, 'n1/files/n2/taken/by-a-folder'), { recursive: true })
  const answer = await put(tree, file)
  assert.equal(answer.status, 503, answer.text)
  assert.match(
    answer.text,
    /^a folder is where a file belongs, [^\n]* in shared_files\.path \([^\n]*\/n1\/files\/n2\/taken/
  )
  assert.deepEqual(readdirSync(join(sharedFilesPath, '.incoming~')), [])
  await rm(join(sharedFilesPath, 'n1/files/n2/taken'), { recursive: true })
  assert.equal((await put(tree, file)).status, 200)

  const limit = (soft: string) => promisify(execFile)('prlimit', ['--pid', String(pid), `--nofile=${soft}:`])
  const pid = tree.processes.get('root')?.pid ?? 0
  const run = () => postForm(tree.relay('root'), '/remote-run/nodes/n1', {})
  assert.equal((await run()).status, 200)
  const { stdout } = await promisify(execFile)('prlimit', [
    '--pid',
    String(pid),
    '--nofile',
    '--noheadings',
    '-o',
    'SOFT'
  ])
  await rename(join(storagePath, 'runs'), join(storagePath, 'runs-elsewhere'))
  await writeFile(join(storagePath, 'runs'), '')
  const refused = await run()
  assert.equal(refused.status, 503, refused.text)
  assert.match(refused.text, /in storage\.path \(/)
  await rm(join(storagePath, 'runs'))
  await rename(join(storagePath, 'runs-elsewhere'), join(storagePath, 'runs'))
  const { localUrl } = tree.relay('root')
  assert.equal((await fetch(`${localUrl}/uuid`).then(response => response.text())).trim(), 'root') // over a connection that stays
  await limit('10')
  const more = signContent('n1', tree.member('n2'), 'more', 'content')
  const tooMany = await fetch(`${localUrl}${more.path}?ttl=1h`, { method: 'PUT', body: more.body })
  const text = await tooMany.text()
  await limit(stdout.trim())
  assert.equal(tooMany.status, 503, text)
  assert.match(text, /as many files open as it may/)
  assert.equal((await run()).status, 200)
})

test('the disk of the databases is full: 507, and what is there can be read', async t => {
  const started = await startOnDisk(t, 'storage', 8)
  if (started === undefined) return
  const { tree, disk } = started
  const relay = tree.relay('root')
  const sender = tree.member('n2')
  const kept = signContent('n1', sender, 'kept', 'was there before')
  assert.equal((await put(tree, kept)).status, 200)
  await disk.fill()
  const refused: SignedFile[] = []
  // The databases may have room in pages of their own for some more.
  for (let index = 0; refused.length < 3 && index < 5_000; index += 1) {
    const file = signContent(index % 2 === 0 ? 'n1' : 's1', sender, `f${index}`, `content ${index}`)
    const { status, text } = await put(tree, file)
    assert.ok(status === 200 || status === 202 || status === 507, text)
    if (status !== 507) continue
    assert.match(text, FULL)
    assert.equal(await headStatus(tree, file), 404)
    refused.push(file)
  }
  assert.equal(refused.length, 3)
  await assertNoLeftovers(relay)
  assert.equal(await headStatus(tree, kept), 200)
  assert.equal((await ask(relay, kept.path)).text, 'was there before')
  assert.equal((await ask(relay, '/uuid')).text, 'root')
  const run = await postForm(relay, '/remote-run/nodes/n1', { keep_output: 'true' })
  assert.equal(run.status, 507, run.text)
  const status = JSON.parse((await ask(relay, '/system/status')).text).data
  assert.equal(typeof status.database.status, 'string')

  await assertStorage(tree, /^the disk that holds storage\.path \(\S+\) is full/)
  tree.processes.get('root')?.signal('SIGKILL')
  await tree.processes.get('root')?.ended
  for (const name of ['topology.db', 'topology.db-wal', 'topology.db-shm'])
    await rm(join(disk.path, name), { force: true })
  await disk.empty()
  await disk.fill()
  await tree.restart('root') // it has the tree of its files, and can store neither that nor anything else
  const refusedAgain = await put(tree, kept)
  assert.equal(refusedAgain.status, 507, refusedAgain.text)
  assert.match(refusedAgain.text, FULL)
  const nodes = JSON.parse((await ask(relay, '/system/status')).text).data.nodes
  assert.match(nodes.details, /the disk that holds storage\.path \(\S+\) is full/)
  await tree.processes.get('root')?.stop()
  await editConfig(relay, text => text.replace(disk.path, `${disk.path}/new`))
  await assert.rejects(tree.restart('root'), ({ message }) => {
    assert.match(message, /cannot start: .*the disk that holds storage\.path \(\S+\) is full/)
    return true
  })
  await editConfig(relay, text => text.replace(`${disk.path}/new`, disk.path))
  await disk.empty()
  await tree.restart('root')
  await assertStorage(tree, undefined)
  for (const file of refused) assert.ok((await put(tree, file)).status < 300)
  assert.equal((await postForm(relay, '/remote-run/nodes/n1', {})).status, 200)
  await assertServes(tree, relay, 'n1', 'n2')

  await disk.setReadOnly(true)
  const readOnly = await postForm(relay, '/remote-run/nodes/n1', {})
  assert.equal(readOnly.status, 503, readOnly.text)
  assert.match(readOnly.text, /^storage\.path \(\S+\) is on a file system that is read-only now; /)
  await assertStorage(tree, /^storage\.path \(\S+\) is on a file system that is read-only now; /)
  await disk.setReadOnly(false)
  assert.equal((await postForm(relay, '/remote-run/nodes/n1', {})).status, 200)
})

test('max_total_size, the bound that needs no disk of its own: 507 in the same way', async t => {
  const settings = { shared_files: [`max_total_size = ${2 * MIB}`] }
  const tree = await startTree(t, { relays: RELAYS, absent: ['sub'], settings })
  const sender = tree.member('n2')
  const folder = tree.relay('root').sharedFilesPath
  const first = signContent('n1', sender, 'first', Buffer.alloc(1.5 * MIB, 'x'))
  assert.equal((await put(tree, first)).status, 200)
  const second = signContent('n1', sender, 'second', Buffer.alloc(MIB, 'y'))
  const waiting = signContent('s1', sender, 'waiting', Buffer.alloc(MIB, 'y'))
  const quota = /^no room for \d+ more bytes: shared_files\.max_total_size is 2097152, and \d+ are in use\n$/
  for (const file of [second, waiting]) await assertNotStored(tree, folder, file, quota)
  assert.equal((await put(tree, signContent('n1', sender, 'first', 'shorter'))).status, 200)
  assert.equal((await put(tree, second)).status, 200)
  await assertServes(tree, tree.relay('root'), 'n1', 'n2')
})

test('the root of a tree of members starts on a full disk, serves the tree that it has, and stores it later', async t => {
  const disk = await mountSmallDisk(t, 8)
  if (disk === undefined) return
  const { root, rootProcess, serve } = await startJoinedTree(t)
  await rootProcess.stop()
  const data = join(disk.path, 'data')
  await cp(join(root.folder, 'data'), data, { recursive: true })
  const conf = join(root.folder, 'main.conf')
  await writeFile(conf, (await readFile(conf, 'utf8')).replace('path = "data"', `path = "${data}"`))
  const first = await serve(root)
  first.signal('SIGKILL') // what SQLite keeps beside state.db stays there, and takes no room anew
  await first.ended
  const nodes = async () => {
    const status = (await getJson(root, '/rudder/relay-api/1/system/status')) as {
      data: { nodes: { status: string; count: number; details?: string } }
    }
    return status.data.nodes
  }

  await disk.fill()
  const onFullDisk = await serve(root)
  const { status, count, details } = await nodes()
  assert.deepEqual([status, count], ['error', 1])
  assert.match(details ?? '', /the disk that holds \S+ \(\S+\) is full; /)
  assert.ok(onFullDisk.log.some(line => line.includes('cannot publish the tree; trying again')))
  await disk.empty()
  await eventually('its tree is stored', async () => (await nodes()).status === 'success')
})
