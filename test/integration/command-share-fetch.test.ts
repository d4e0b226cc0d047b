import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFile, lstat, mkdir, open, readdir, readFile, rmdir, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { treelineCommand } from '../../demo/relay-process.js'
import { readPublicKey } from '../../src/keys/signatures/verify-file.js'
import { startProcess, startTreeline, temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { startSmallRelay } from '../support/relays/small-relay.js'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })

async function setUp(t: TestContext) {
  const folder = await temporaryFolder(t)
  const relay = await startSmallRelay(t)
  const key = join(folder, 'agent.key')
  await writeFile(key, rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }))
  const share = (path: string, ...more: string[]) =>
    treeline(t, ['share', 'b', 'id', path, '--ttl', '1 day', '--source', 'a', '--server', relay.url, ...more])
  const fetch = (path: string, ...more: string[]) =>
    treeline(t, ['fetch', 'a', 'id', path, '--target', 'b', '--server', relay.url, ...more])
  return { folder, relay, key, share, fetch, path: (name: string) => join(folder, name) }
}

test('a file is shared with an RSA key, skipped the second time, fetched and verified', async t => {
  const { relay, key, share, fetch, path } = await setUp(t)
  const content = randomBytes(700_000)
  await writeFile(path('data'), content)
  const first = await share(path('data'), '--key', key)
  assert.deepEqual([first.code, first.stdout], [0, 'id for b: stored, 683.6 KiB\n'], first.stderr)
  const [file] = relay.files.values()
  assert.equal(file?.ttl, '1 day')
  assert.deepEqual([...(file?.metadata.fields.keys() ?? [])].sort(), [
    ...['algorithm', 'digest', 'hash_value', 'header', 'hostname', 'keydate', 'keyid', 'short_pubkey']
  ])
  const put = relay.requests.find(request => request.method === 'PUT')
  assert.equal(Number(put?.headers['content-length']), put?.body.length)
  assert.equal(put?.headers.expect, undefined)

  const second = await share(path('data'), '--key', key)
  assert.deepEqual([second.code, second.stdout], [0, 'id for b: there already, or on its way\n'])
  assert.equal(relay.requests.filter(request => request.method === 'PUT').length, 1)

  const spki = rsa.publicKey.export({ type: 'spki', format: 'der' })
  const keyHash = `sha256//${createHash('sha256').update(spki).digest('base64')}`
  const fetched = await fetch(path('copy'), '--source-key-hash', keyHash)
  assert.equal(fetched.code, 0, fetched.stderr)
  assert.match(fetched.stdout, /683.6 KiB; signature verified, the key is that of --source-key-hash/)
  assert.deepEqual(await readFile(path('copy')), content)

  const other = await fetch(path('copy2'), '--source-key-hash', `sha256:${'00'.repeat(32)}`)
  assert.equal(other.code, 1)
  assert.match(other.stderr, /id is not signed by a/)
  assert.deepEqual((await readdir(join(path('.')))).sort(), ['agent.key', 'copy', 'data'])
})

test('a key with a passphrase: from a file, from the environment, wrong, and the one of all agents', async t => {
  const { relay, share, path } = await setUp(t)
  await writeFile(path('data'), '')
  const locked = async (name: string, passphrase: string) => {
    const options = { type: 'pkcs1', format: 'pem', cipher: 'des-ede3-cbc', passphrase } as const
    await writeFile(path(name), rsa.privateKey.export(options))
  }
  await locked('own.key', 'own words')
  await locked('agents.key', 'Cfengine passphrase')
  await writeFile(path('words'), 'own words\n')
  const fromFile = await share(path('data'), '--key', path('own.key'), '--passphrase-file', path('words'))
  assert.equal(fromFile.code, 0, fromFile.stderr)
  assert.equal([...relay.files.values()][0]?.content.length, 0)
  const args = ['share', 'b', 'id2', path('data'), '--ttl', '9', '--source', 'a', '--server', relay.url]
  const fromEnv = await treeline(t, [...args, '--key', path('own.key')], { TREELINE_PASSPHRASE: 'own words' })
  assert.equal(fromEnv.code, 0, fromEnv.stderr)
  const wrong = await share(path('data'), '--key', path('own.key'))
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /its passphrase is wrong: --passphrase-file, or TREELINE_PASSPHRASE/)
  assert.doesNotMatch(wrong.stderr, /own words/)
  assert.equal((await share(path('data'), '--key', path('agents.key'))).code, 0)
})

test('keys are generated, private to their owner, and never overwritten', async t => {
  const { folder, path } = await setUp(t)
  const made = await treeline(t, ['key', 'generate', '--out', folder])
  assert.equal(made.code, 0, made.stderr)
  assert.match(made.stdout, /"key-hash": "sha256\/\/[A-Za-z0-9+/]{43}="/)
  assert.match(made.stdout, /x25519:[A-Za-z0-9+/]{43}=/)
  for (const name of ['treeline-sign.key', 'treeline-seal.key']) {
    assert.equal((await stat(path(name))).mode & 0o777, 0o600)
  }
  const before = await readFile(path('treeline-sign.key'))
  const again = await treeline(t, ['key', 'generate', '--out', folder])
  assert.equal(again.code, 2)
  assert.match(again.stderr, /is there already/)
  assert.deepEqual(await readFile(path('treeline-sign.key')), before)
})

test('an Ed25519 key signs, and a sealed file is readable by its target alone', async t => {
  const { folder, relay, share, fetch, path } = await setUp(t)
  const keys = await treeline(t, ['key', 'generate', '--out', folder])
  const content = randomBytes(200_000)
  await writeFile(path('data'), content)
  const sign = ['--key', path('treeline-sign.key')]
  const shared = await share(path('data'), ...sign, '--seal', path('treeline-seal.pub'))
  assert.equal(shared.code, 0, shared.stderr)
  const [file] = relay.files.values()
  assert.ok(file !== undefined)
  assert.equal(readPublicKey(file.metadata).kind, 'ed25519')
  assert.ok(file.metadata.signedAtMs !== undefined)
  assert.ok(!file.content.includes(content.subarray(0, 32)))

  const keyHash = /"key-hash": "(.*)"/.exec(keys.stdout)?.[1] ?? ''
  const opened = await fetch(path('copy'), '--open-key', path('treeline-seal.key'), '--source-key-hash', keyHash)
  assert.equal(opened.code, 0, opened.stderr)
  assert.deepEqual(await readFile(path('copy')), content)
  assert.equal((await stat(path('copy'))).mode & 0o777, 0o600)

  const keyless = await fetch(path('copy'))
  assert.equal(keyless.code, 2, keyless.stderr)
  assert.match(keyless.stderr, /^treeline: \S+ of \S+ is sealed: `treeline fetch --open-key <file>` opens it/)
  assert.deepEqual(await readFile(path('copy')), content, 'the former copy stays')
  const kept = await fetch(path('sealed'), '--keep-sealed')
  assert.equal(kept.code, 0, kept.stderr)
  assert.deepEqual(await readFile(path('sealed')), file.content)
  const nowhere = await fetch(path('none/copy'), '--open-key', path('treeline-seal.key'))
  assert.equal(nowhere.code, 2)
  assert.match(nowhere.stderr, /there is no folder .*none; create it/)
  const both = await fetch(path('copy'), '--open-key', path('treeline-seal.key'), '--keep-sealed')
  assert.equal(both.code, 2)

  const wrong = await fetch(path('copy'), '--open-key', path('treeline-sign.key'))
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /X25519 keys open files/)
  await share(path('data'), ...sign)
  const notSealed = await fetch(path('copy'), '--open-key', path('treeline-seal.key'))
  assert.equal(notSealed.code, 1)
  assert.match(notSealed.stderr, /not a sealed file/)
  assert.deepEqual(await readFile(path('copy')), content)
})

test('a file that was changed on the way is refused, and the old copy stays', async t => {
  const { relay, key, share, fetch, path } = await setUp(t)
  await writeFile(path('data'), 'good')
  await writeFile(path('copy'), 'old')
  await share(path('data'), '--key', key)
  const [[name, file] = []] = relay.files
  assert.ok(name !== undefined && file !== undefined)
  relay.files.set(name, { ...file, content: Buffer.from('evil') })
  const fetched = await fetch(path('copy'))
  assert.equal(fetched.code, 1)
  assert.match(fetched.stderr, /bad signature/)
  assert.equal(await readFile(path('copy'), 'utf8'), 'old')
})

test('what is no regular file is written to, and never replaced; a link is followed', async t => {
  const { folder, relay, key, share, fetch, path } = await setUp(t)
  const content = randomBytes(300_000)
  await writeFile(path('data'), content)
  await share(path('data'), '--key', key)

  await promisify(execFile)('mkfifo', [path('fifo')])
  const [throughFifo, read] = await Promise.all([fetch(path('fifo')), readFile(path('fifo'))])
  assert.deepEqual(read, content)
  assert.match(throughFifo.stderr, /fifo: 293.0 KiB; signature verified/)
  assert.deepEqual([throughFifo.code, throughFifo.stdout], [0, ''])
  assert.ok((await stat(path('fifo'))).isFIFO())

  const toPipe = treelineCommand(['fetch', 'a', 'id', '/dev/fd/3', '--target', 'b', '--server', relay.url])
  const script = ['-c', '"$@" 3>&1 >&2 | cat', 'sh', toPipe.program, ...toPipe.args]
  const throughPipe = await startProcess(t, 'sh', script, {}).ended
  assert.equal(throughPipe.stdout, content.toString(), throughPipe.stderr)

  await mkdir(path('tmp'))
  const env = { TMPDIR: path('tmp') }
  const args = ['fetch', 'a', 'id', path('fifo'), '--target', 'b', '--server', relay.url]
  const waiting = startTreeline(t, args, env)
  const reader = await open(path('fifo'))
  await reader.read(Buffer.alloc(1)) // it writes now, and waits for more room
  assert.deepEqual(await readdir(path('tmp')), [], 'what waits has no name')
  waiting.child.kill()
  assert.equal((await waiting.ended).code, null)
  await reader.close()
  await rmdir(path('tmp'))

  const isRoot = process.getuid?.() === 0 // without root, nobody makes devices
  const device = isRoot ? path('device') : '/dev/null'
  if (isRoot) await promisify(execFile)('mknod', [device, 'c', '1', '3'])
  const toDevice = await fetch(device)
  assert.deepEqual([toDevice.code, toDevice.stdout], [0, ''], toDevice.stderr)
  assert.equal((await stat(device)).isCharacterDevice(), true)

  const toOutput = await fetch('/dev/stdout')
  assert.equal(toOutput.stdout, content.toString(), 'and nothing else')
  assert.equal(toOutput.code, 0, toOutput.stderr)

  await mkdir(path('other'))
  await writeFile(path('other/real'), 'old', { mode: 0o640 })
  await symlink('other/real', path('link'))
  assert.equal((await fetch(path('link'))).code, 0)
  assert.equal((await lstat(path('link'))).isSymbolicLink(), true)
  assert.deepEqual(await readFile(path('other/real')), content)
  assert.equal((await stat(path('other/real'))).mode & 0o7777, 0o640)

  await symlink('nowhere', path('dangling'))
  const dangling = await fetch(path('dangling'))
  assert.equal(dangling.code, 2)
  assert.match(dangling.stderr, /dangling is a symbolic link to nowhere, which is not there/)

  const [[name, file] = []] = relay.files
  assert.ok(name !== undefined && file !== undefined)
  relay.files.set(name, { ...file, content: Buffer.from('evil') })
  const forged = await fetch('/dev/stdout')
  assert.deepEqual([forged.code, forged.stdout], [1, ''], 'nothing comes before it is verified')
  const left = ['agent.key', 'dangling', 'data', ...(isRoot ? ['device'] : []), 'fifo', 'link', 'other']
  assert.deepEqual([(await readdir(folder)).sort(), await readdir(path('other'))], [left, ['real']])
})

test('a file that changes between hashing and sending is not shared', async t => {
  const folder = await temporaryFolder(t)
  const data = join(folder, 'data')
  const key = join(folder, 'key')
  await writeFile(data, randomBytes(100_000))
  await writeFile(key, rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }))
  const relay = await startSmallRelay(t, {
    'HEAD shared-files/b/a/id': async (_, response) => {
      await appendFile(data, 'more')
      response.writeHead(404).end()
    }
  })
  const options = ['--ttl', '60', '--source', 'a', '--key', key, '--server', relay.url]
  const { code, stderr } = await treeline(t, ['share', 'b', 'id', data, ...options])
  assert.equal(code, 1)
  assert.match(stderr, /changed while it was read/)
  assert.equal(relay.files.size, 0)
})

test('a relay that refuses a HEAD is asked with the file itself, so that it can say why', async t => {
  const { key, path } = await setUp(t)
  await writeFile(path('data'), 'content')
  const busy = (_: unknown, response: ServerResponse) => void response.writeHead(503).end('the disk is full\n')
  const relay = await startSmallRelay(t, {
    'HEAD shared-files/b/a/id': busy,
    'PUT shared-files/b/a/id': busy
  })
  const args = ['share', 'b', 'id', path('data'), '--ttl', '1 day', '--source', 'a', '--key', key]
  const { code, stderr } = await treeline(t, [...args, '--server', relay.url])
  assert.deepEqual([code, stderr], [1, 'treeline: the relay refused (503): the disk is full\n'])
})

test('refusals are told, and mistakes on the command line are exit code 2', async t => {
  const { key, share, fetch, path } = await setUp(t)
  await writeFile(path('data'), 'x')
  const missing = await fetch(path('copy'))
  assert.deepEqual([missing.code, missing.stderr], [1, 'treeline: the relay refused (404): no file b/a/id\n'])
  assert.equal((await share(path('data'), '--key', key, '--ttl', '-1')).code, 2)
  assert.equal((await share(path('data'), '--key', path('nowhere'))).code, 2)
  assert.equal((await share(path('data'), '--key', key, '--source', '../x')).code, 2)
  assert.equal((await share(path('data'), '--key', key, '--server', 'ftp://x')).code, 2)
  assert.equal((await share(path('data'), '--key', key, '--server', 'http://127.0.0.1:1')).code, 1)
  assert.equal((await share(path('.'), '--key', key)).code, 2)
  const redirecting = createServer((_request, response) => {
    response.writeHead(301, { location: 'https://login.example/' }).end('<a href="https://login.example/">')
  })
  redirecting.listen(0, '127.0.0.1')
  await once(redirecting, 'listening')
  t.after(() => redirecting.close())
  const { port } = redirecting.address() as AddressInfo
  const redirected = await fetch(path('copy'), '--allow-unverified', '--server', `http://127.0.0.1:${port}`)
  assert.equal(redirected.code, 1)
  assert.match(redirected.stderr, /no relay: a redirect to https:\/\/login\.example\/ \(301\); check --server\n$/)
  const noHash = await fetch(path('copy'), '--source-key-hash', 'sha256//AAAA')
  assert.deepEqual([noHash.code, /--source-key-hash should be/.test(noHash.stderr)], [2, true])
})

test('a file that is not there is named, with the argument and what to do', async t => {
  const { folder, key, share, fetch, path } = await setUp(t)
  const nothing = path('nothing')
  const why = `${nothing} cannot be read: there is no such file; check the path\n`
  for (const more of [[], ['--seal', `x25519:${'A'.repeat(43)}=`]]) {
    const noFile = await share(nothing, '--key', key, ...more)
    assert.deepEqual([noFile.code, noFile.stderr], [2, `treeline: <path> ${why}`])
  }
  const noKey = await share(key, '--key', nothing)
  assert.deepEqual([noKey.code, noKey.stderr], [2, `treeline: --key ${why}`])
  const aFolder = await share(key, '--key', folder)
  assert.equal(aFolder.stderr, `treeline: --key ${folder} cannot be read: it is a folder; name a file\n`)
  const intoFolder = await fetch(folder)
  assert.deepEqual([intoFolder.code, intoFolder.stderr], [2, `treeline: ${folder} is a folder; name a file in it\n`])
  const noFolder = await fetch(join(nothing, 'copy'))
  assert.deepEqual(
    [noFolder.code, noFolder.stderr],
    [2, `treeline: ${nothing}/copy cannot be written: there is no folder ${nothing}; create it, or check the path\n`]
  )
  const tooLong = await fetch(path('x'.repeat(300)))
  assert.equal(tooLong.code, 2)
  assert.match(tooLong.stderr, /^treeline: \S+ cannot be written: its name is too long/)
})
