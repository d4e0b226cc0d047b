import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { lchown, mkdir, rename, rmdir, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FilePublisher } from '../../src/agent/files/file-publisher.js'
import { FileState } from '../../src/agent/files/file-state.js'
import { parseAgentConfig } from '../../src/config/agent/agent-parser.js'
import { StableFile } from '../../src/file-exchange/stable-file.js'
import { createRelayClient } from '../../src/relay-client/relay-client.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'
import { startSmallRelay } from '../support/relays/small-relay.js'

const HOUR_MS = 3_600_000

/** What shares the file `own` with an Ed25519 key. */
async function setUp(t: TestContext, isSuperseded = () => false) {
  const folder = await temporaryFolder(t)
  const relay = await startSmallRelay(t, {
    'PUT shared-files/b/a/superseded': (_, response) =>
      void response.writeHead(200, isSuperseded() ? { 'treeline-state': 'superseded' } : {}).end(),
    'PUT shared-files/b/a/large': (_, response) => void response.writeHead(413).end('too large\n')
  })
  const client = await createRelayClient({
    names: { server: 'upstream.host', ca: 'upstream.ca_file', pin: 'upstream.server_certificate_file' },
    server: relay.url,
    token: undefined,
    tls: { ca: undefined, cert: undefined, key: undefined, pin: undefined }
  })
  t.after(() => client.close())
  const path = join(folder, 'own')
  const key = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })
  await writeFile(join(folder, 'sign.key'), key)
  const share = (fileId: string, ttl = '1h') =>
    `[[agent.share]]\ntarget = "b"\nfile_id = "${fileId}"\npath = "${path}"\nttl = "${ttl}"`
  const text = `node_id = "a"
certificate_file = "c"
key_file = "k"
signing_key_file = "sign.key"
[upstream]
host = "x"
${share('f')}
${share('superseded')}
${share('long', '30days')}
${share('large')}`
  const config = parseAgentConfig(text, '', folder)
  const clock = { nowMs: Date.now() }
  const state = await FileState.open(folder)
  const publisher = new FilePublisher({ config, state, logger: silentLogger, now: () => clock.nowMs })
  const write = (content: string) => writeFile(path, content)
  return {
    clock,
    folder,
    path,
    write,
    share: (index = 0) => {
      const entry = config.share[index]
      assert.ok(entry)
      return publisher.share(client, entry)
    },
    askAgain: () => publisher.askAgain(),
    files: relay.files,
    kept: () => relay.files.get('b/a/f')
  }
}

test('a clock that is set back neither keeps a file from being shared, nor makes a newer one look older', async t => {
  const { clock, write, share, kept } = await setUp(t)
  await write('first')
  assert.equal(await share(), true)
  assert.equal(await share(), false)
  const first = kept()?.metadata.signedAtMs ?? 0
  assert.equal(first, clock.nowMs)

  clock.nowMs -= 24 * HOUR_MS
  await write('second')
  assert.equal(await share(), true)
  assert.equal(String(kept()?.content), 'second')
  assert.equal(kept()?.metadata.signedAtMs, first + 1)
  assert.equal(await share(), false, 'by the time that it is now it has just been shared')

  clock.nowMs += HOUR_MS / 2
  assert.equal(await share(), true, 'again before its time to live is over')
  assert.equal(kept()?.metadata.signedAtMs, first + 2)
})

test('a file that the relay has lost is shared again: after an hour, or as soon as the relay is asked again', async t => {
  const { clock, write, share, askAgain, files } = await setUp(t)
  const LONG = 2
  await write('content')
  assert.equal(await share(LONG), true)
  clock.nowMs += HOUR_MS
  assert.equal(await share(LONG), false, 'it is there')
  files.clear()
  assert.equal(await share(LONG), false, 'it was there a moment ago')
  clock.nowMs += HOUR_MS
  assert.equal(await share(LONG), true)
  files.clear()
  askAgain()
  assert.equal(await share(LONG), true)
  assert.equal(files.size, 1)
})

test('a file that looks the same is not read again, only to ask the relay for it', async t => {
  const { write, share, askAgain, files } = await setUp(t)
  await write('content')
  assert.equal(await share(), true)
  const hash = t.mock.method(StableFile.prototype, 'hash')
  askAgain()
  assert.equal(await share(), false)
  assert.equal(hash.mock.callCount(), 0)
  files.clear()
  askAgain()
  assert.equal(await share(), true)
  await write('changed')
  assert.equal(await share(), true)
  assert.equal(hash.mock.callCount(), 2)
})

test('a file that the relay finds too large is not read again for a while, nor a larger one', async t => {
  const { clock, write, share, askAgain } = await setUp(t)
  const hash = t.mock.method(StableFile.prototype, 'hash').mock
  const callCount = () => hash.callCount()
  const refused = () => assert.rejects(share(3), { status: 413 })
  await write('too large')
  await refused()
  await refused()
  await write('too large, and larger')
  await refused()
  const once = callCount()
  assert.ok(once > 0)
  await write('smaller')
  await refused()
  assert.ok(callCount() > once, 'a smaller one may be small enough')
  const twice = callCount()
  await refused()
  assert.equal(callCount(), twice)
  askAgain()
  await refused()
  assert.ok(callCount() > twice, 'it may be another relay')
  const thrice = callCount()
  clock.nowMs += HOUR_MS
  await refused()
  assert.ok(callCount() > thrice, 'it may have another bound by now')
})

test('a file over agent.max_share_size is not read at all, and one that grows is read no further', async t => {
  const { path, write, share } = await setUp(t)
  const hash = t.mock.method(StableFile.prototype, 'hash').mock
  const callCount = () => hash.callCount()
  await write('')
  await truncate(path, 1024 ** 3 + 1)
  await assert.rejects(share(), /own has 1073741825 bytes, and agent\.max_share_size is 1073741824: make it smaller/)
  assert.equal(callCount(), 0)
  await write('content')
  const file = await StableFile.open(path, { name: 'path' })
  t.after(() => file.close())
  await truncate(path, 8 * 1024 ** 4)
  await assert.rejects(file.hash('sha512'), /changed while it was read/)
})

test('the relay is asked again for a file that was being shared when that was to be done', async t => {
  let underWay: (() => void) | undefined
  const { write, share, askAgain } = await setUp(t, () => {
    underWay?.()
    return false
  })
  await write('content')
  underWay = askAgain
  assert.equal(await share(1), true)
  underWay = undefined
  assert.equal(await share(1), true, 'this relay keeps none of it')
})

test('a file that was shared while the record could not be written is in the record as soon as it can be', async t => {
  const { folder, path, write, share } = await setUp(t)
  await write('content')
  const inTheWay = join(folder, 'files.json')
  await mkdir(inTheWay)
  await assert.rejects(share())
  await rmdir(inTheWay)
  assert.equal(await share(), false, 'it is there already')
  const kept = await FileState.open(folder)
  assert.ok(kept.shared(`b/f ${path}`), 'a restart knows of it')
})

test('a file that the relay does not keep, since it has a newer one, is a failure that is tried again', async t => {
  let isSuperseded = true
  const { write, share } = await setUp(t, () => isSuperseded)
  await write('content')
  await assert.rejects(share(1), /not kept: superseded of a for b is there already, signed or accepted later.*clock/)
  isSuperseded = false
  assert.equal(await share(1), true)
})

test('an agent of root shares no file that a link of another user leads to; without root, the link is its own', async t => {
  const { path, write, share, kept } = await setUp(t)
  await write('content')
  await rename(path, `${path}.real`)
  await symlink(`${path}.real`, path)
  if (process.getuid?.() === 0) {
    await lchown(path, 4_242, 4_242)
    await assert.rejects(share(), /own is not shared: .*own is a link of user 4242/)
    assert.equal(kept(), undefined)
  } else {
    assert.equal(await share(), true)
  }
})
