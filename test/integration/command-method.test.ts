import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { chmod, lchown, mkdir, readdir, readFile, stat, symlink, unlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { type Ended, startProcess, temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { type SmallRelay, startSmallRelay } from '../support/relays/small-relay.js'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const FUNCTIONS = join(import.meta.dirname, '../../deploy/methods/sharedfile.sh')

interface Node {
  readonly relay: SmallRelay
  readonly folder: string
  readonly keyFile: string
}

/** One generic method, called on a node. */
type Call = (t: TestContext, node: Node, nodeId: string, method: string, ...args: string[]) => Promise<Ended>

const command: Call = (t, { relay, keyFile }, nodeId, method, ...args) => {
  const isSource = method === 'sharedfile_to_node'
  const own = isSource ? ['--source', nodeId, '--key', keyFile] : ['--target', nodeId]
  return treeline(t, ['method', method, ...args, ...own, '--server', relay.url])
}

const shell: Call = (t, { relay, keyFile }, nodeId, method, ...args) => {
  const env = {
    TREELINE_RELAY: `${relay.url}/rudder/relay-api/1`,
    TREELINE_NODE_ID: nodeId,
    TREELINE_KEY: keyFile,
    TREELINE_PASSPHRASE: 'own words'
  }
  return startProcess(t, 'sh', ['-uc', `. '${FUNCTIONS}'; "$@"`, 'sh', method, ...args], env).ended
}

async function setUp(t: TestContext): Promise<Node & { path: (name: string) => string }> {
  const folder = await temporaryFolder(t)
  const keyFile = join(folder, 'agent.key')
  await writeFile(keyFile, rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }))
  return { relay: await startSmallRelay(t), folder, keyFile, path: name => join(folder, name) }
}

function ends(ended: Ended, result: 'kept' | 'repaired'): void {
  assert.equal(ended.stdout, `result_${result}\n`, ended.stderr)
  assert.equal(ended.code, result === 'kept' ? 0 : 10)
}

function fails(ended: Ended, pattern: RegExp): void {
  assert.match(ended.stdout, /^result_error: /)
  assert.match(ended.stdout, pattern)
  assert.notEqual(ended.code, 0)
  assert.notEqual(ended.code, 10)
}

for (const [name, call] of Object.entries({ treeline: command, shell })) {
  test(`${name}: a file is repaired once, then kept, at both ends`, async t => {
    const node = await setUp(t)
    const content = randomBytes(150_000)
    await writeFile(node.path('data'), content)
    const share = () => call(t, node, 'a', 'sharedfile_to_node', 'b', 'id', node.path('data'), '1d 2h')
    ends(await share(), 'repaired')
    assert.deepEqual(node.relay.files.get('b/a/id')?.content, content)
    assert.equal(node.relay.files.get('b/a/id')?.ttl, '1d 2h')
    ends(await share(), 'kept')

    const have = () => call(t, node, 'b', 'sharedfile_from_node', 'a', 'id', node.path('copy'))
    ends(await have(), 'repaired')
    assert.deepEqual(await readFile(node.path('copy')), content)
    ends(await have(), 'kept')
    await writeFile(node.path('copy'), 'other')
    ends(await have(), 'repaired')
    assert.deepEqual(await readFile(node.path('copy')), content)
    assert.deepEqual((await readdir(node.folder)).sort(), ['agent.key', 'copy', 'data', 'data.sign'])
  })

  test(`${name}: a file is signed again only when it is newer than its signature`, async t => {
    const node = await setUp(t)
    await writeFile(node.path('data'), 'one')
    const share = () => call(t, node, 'a', 'sharedfile_to_node', 'b', 'id', node.path('data'), '60')
    ends(await share(), 'repaired')
    const signedAt = (await stat(node.path('data.sign'))).mtimeMs
    await unlink(node.keyFile)
    if (call === shell) ends(await share(), 'kept') // not even the key is read
    await writeFile(node.keyFile, rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }))
    ends(await share(), 'kept')
    assert.equal((await stat(node.path('data.sign'))).mtimeMs, signedAt)
    await writeFile(node.path('data'), 'two')
    await utimes(node.path('data'), 1, 1) // as when an older file is moved over it
    ends(await share(), 'repaired')
    assert.equal(node.relay.files.get('b/a/id')?.content.toString(), 'two')
    const ahead = Date.now() / 1_000 + 86_400 // made before the clock was set back
    await utimes(node.path('data.sign'), ahead, ahead)
    await writeFile(node.path('data'), 'three')
    ends(await share(), 'repaired')
    assert.equal(node.relay.files.get('b/a/id')?.content.toString(), 'three')
  })

  test(`${name}: the file of every source`, async t => {
    const node = await setUp(t)
    for (const source of ['a', 'c']) {
      await writeFile(node.path('data'), `by ${source}`)
      ends(await call(t, node, source, 'sharedfile_to_node', 'b', 'id', node.path('data'), '60'), 'repaired')
    }
    const have = () => call(t, node, 'b', 'sharedfile_from_any', 'id', node.path('all'))
    ends(await have(), 'repaired')
    assert.equal(await readFile(node.path('all/a'), 'utf8'), 'by a')
    assert.equal(await readFile(node.path('all/c'), 'utf8'), 'by c')
    ends(await have(), 'kept')
    ends(await call(t, node, 'b', 'sharedfile_from_any', 'nothing', node.path('none')), 'kept')
  })

  test(`${name}: what is wrong ends as an error, and leaves the file as it was`, async t => {
    const node = await setUp(t)
    await writeFile(node.path('data'), 'good')
    await writeFile(node.path('copy'), 'old')
    const share = (...args: string[]) => call(t, node, 'a', 'sharedfile_to_node', ...args)
    const have = (...args: string[]) => call(t, node, 'b', 'sharedfile_from_node', ...args)
    ends(await share('b', 'id', node.path('data'), '60'), 'repaired')
    fails(await share('../b', 'id', node.path('data'), '60'), /invalid/)
    fails(await share('b', 'id', node.path('data'), '-5'), /invalid ttl/)
    fails(await share('b', 'id', node.path('nothing'), '60'), /no such file/)
    fails(await have('a', 'nothing', node.path('copy')), /404/)
    const file = node.relay.files.get('b/a/id')
    assert.ok(file !== undefined)
    node.relay.files.set('b/a/id', { ...file, content: Buffer.from('evil') })
    fails(await have('a', 'id', node.path('copy')), /hash/)
    const otherKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({
      type: 'pkcs1',
      format: 'der'
    })
    const fields = new Map([...file.metadata.fields, ['short_pubkey', otherKey.toString('base64')]])
    node.relay.files.set('b/a/id', { ...file, metadata: { ...file.metadata, fields } })
    fails(await have('a', 'id', node.path('copy')), /signature/)
    assert.equal(await readFile(node.path('copy'), 'utf8'), 'old')
    assert.deepEqual((await readdir(node.folder)).sort(), ['agent.key', 'copy', 'data', 'data.sign'])

    node.relay.files.set('b/a/id', file)
    await promisify(execFile)('mkfifo', [node.path('fifo')])
    fails(await have('a', 'id', node.path('fifo')), /is a FIFO|is no regular file/)
    assert.ok((await stat(node.path('fifo'))).isFIFO(), 'it is not replaced')
  })
}

testAsRoot('as root: links of another user are shared by no command', async t => {
  const node = await setUp(t)
  await chmod(node.folder, 0o755)
  await writeFile(node.path('secret'), 'secret', { mode: 0o600 })
  await mkdir(node.path('home'), { mode: 0o755 })
  await symlink('../secret', node.path('home/report'))
  await writeFile(node.path('home/own'), 'own', { mode: 0o600 })
  for (const name of ['home', 'home/own', 'home/report']) await lchown(node.path(name), 4_242, 4_242)
  await mkdir(node.path('open'))
  await chmod(node.path('open'), 0o777)
  await writeFile(node.path('open/secret'), 'secret', { mode: 0o600 })
  const toNode = (call: Call, name: string) =>
    call(t, node, 'a', 'sharedfile_to_node', 'b', 'id', node.path(name), '60')
  for (const call of [command, shell]) {
    fails(await toNode(call, 'home/report'), /home\/report is a link (of user 4242|that is not root's alone)/)
    fails(await toNode(call, 'open/secret'), /open\/secret is not shared: .*not open to everyone/)
  }
  assert.deepEqual((await readdir(node.path('home'))).sort(), ['own', 'report'], 'nothing was signed')
  await treeline(t, ['key', 'generate', '--type', 'seal', '--out', node.folder])
  for (const more of [[], ['--seal', node.path('treeline-seal.pub')]]) {
    const own = ['--ttl', '60', '--source', 'a', '--key', node.keyFile, '--server', node.relay.url]
    const shared = await treeline(t, ['share', 'b', 'id', node.path('home/report'), ...own, ...more])
    assert.equal(shared.code, 1, shared.stdout)
    assert.match(shared.stderr, /home\/report is not shared: \S+ is a link of user 4242/)
  }
  assert.equal(node.relay.files.size, 0)
  ends(await toNode(command, 'home/own'), 'repaired')
  ends(await toNode(shell, 'home/own'), 'kept')
  await symlink('home/own', node.path('of-root'))
  ends(await toNode(shell, 'of-root'), 'kept')
})

testAsRoot('as root: nothing is written or made beyond a link of another user', async t => {
  const node = await setUp(t)
  await chmod(node.folder, 0o755)
  for (const name of ['of-root', 'home']) await mkdir(node.path(name), { mode: 0o755 })
  await writeFile(node.path('of-root/file'), 'of root')
  await symlink('../of-root', node.path('home/link'))
  for (const name of ['home', 'home/link']) await lchown(node.path(name), 4_242, 4_242)
  await symlink('home/link', node.path('by-root')) // leads on through that of the user
  await mkdir(node.path('open'))
  await chmod(node.path('open'), 0o777)
  await symlink('../of-root', node.path('open/link'))
  await writeFile(node.path('data'), 'fetched')
  ends(await shell(t, node, 'a', 'sharedfile_to_node', 'b', 'id', node.path('data'), '60'), 'repaired')
  for (const call of [command, shell]) {
    for (const way of ['home/link', 'by-root']) {
      const refused = /home\/link is a (symbolic )?link (of user 4242|that is not root's alone),? and is not followed/
      fails(await call(t, node, 'b', 'sharedfile_from_node', 'a', 'id', node.path(`${way}/file`)), refused)
      fails(await call(t, node, 'b', 'sharedfile_from_any', 'id', node.path(`${way}/made`)), refused)
    }
  }
  fails(await shell(t, node, 'b', 'sharedfile_from_any', 'id', node.path('open/link/made')), /open\/link is a link/)
  assert.deepEqual(await readdir(node.path('of-root')), ['file'])
  assert.equal(await readFile(node.path('of-root/file'), 'utf8'), 'of root')

  await symlink('home', node.path('to-home'))
  ends(await shell(t, node, 'b', 'sharedfile_from_any', 'id', node.path('to-home/made')), 'repaired')
  assert.equal(await readFile(node.path('home/made/a'), 'utf8'), 'fetched')
})

for (const sh of ['sh', 'bash']) {
  test(`${sh}: a link that someone puts in the place of the file meanwhile is replaced, not entered`, async t => {
    const node = await setUp(t)
    await mkdir(node.path('bin'))
    await mkdir(node.path('elsewhere'))
    await mkdir(node.path('folder'))
    const cat = `#!/bin/sh\n[ $# -gt 0 ] || ln -s ../elsewhere '${node.path('folder/x')}'\nPATH=$USUAL_PATH exec cat "$@"\n`
    await writeFile(node.path('bin/cat'), cat, { mode: 0o755 })
    const usual = process.env.PATH ?? ''
    const env = { USUAL_PATH: usual, PATH: `${node.path('bin')}:${usual}` }
    const script = `. '${FUNCTIONS}'; echo good | _treeline_put '${node.path('folder/x')}'`
    const put = await startProcess(t, sh, ['-uc', script], env).ended
    assert.equal(put.code, 0, put.stdout + put.stderr)
    assert.equal(await readFile(node.path('folder/x'), 'utf8'), 'good\n')
    assert.deepEqual(await readdir(node.path('elsewhere')), [])
    assert.deepEqual(await readdir(node.path('folder')), ['x'])
  })
}

test('shell: a file that treeline shared with an Ed25519 key is verified, and a forged one refused', async t => {
  const node = await setUp(t)
  await writeFile(node.path('data'), 'good')
  await treeline(t, ['key', 'generate', '--type', 'ed25519', '--out', node.folder])
  const signing = { ...node, keyFile: node.path('treeline-sign.key') }
  ends(await command(t, signing, 'a', 'sharedfile_to_node', 'b', 'id', node.path('data'), '60'), 'repaired')
  ends(await shell(t, node, 'b', 'sharedfile_from_node', 'a', 'id', node.path('copy')), 'repaired')
  const file = node.relay.files.get('b/a/id')
  assert.ok(file !== undefined)
  node.relay.files.set('b/x/id', file)
  fails(await shell(t, node, 'b', 'sharedfile_from_node', 'x', 'id', node.path('copy2')), /bad signature/)
})

test('shell: an encrypted key', async t => {
  const node = await setUp(t)
  const locked = { type: 'pkcs1', format: 'pem', cipher: 'des-ede3-cbc', passphrase: 'own words' } as const
  await writeFile(node.keyFile, rsa.privateKey.export(locked))
  await writeFile(node.path('data'), '')
  ends(await shell(t, node, 'a', 'sharedfile_to_node', 'b', 'id', node.path('data'), '60'), 'repaired')
})
