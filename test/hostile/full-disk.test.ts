import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ask, postForm } from '../support/http.js'
import { assertNoLeftovers, assertServes } from '../support/relay-health.js'
import { type RunningTree, startTree } from '../support/relay-tree.js'
import { type SignedFile, signContent } from '../support/signed-files.js'
import { mountSmallDisk } from '../support/small-disk.js'
import { editConfig } from '../support/tree-files.js'

/** `sub` is away, so what is for `s1` goes to the outbox. */
const RELAYS = [
  { id: 'root', under: 'root', nodes: ['n1', 'n2'] },
  { id: 'sub', under: 'root', nodes: ['s1'] }
]
const MIB = 1024 * 1024
const FULL = /^the disk that holds \S+ is full; nothing was stored, free some space or try again later\n$/

function put(tree: RunningTree, file: SignedFile) {
  return ask(tree.relay('root'), `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
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

  await disk.empty()
  for (const file of refused) assert.ok((await put(tree, file)).status < 300)
  assert.equal((await postForm(relay, '/remote-run/nodes/n1', {})).status, 200)
  await assertServes(tree, relay, 'n1', 'n2')
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
