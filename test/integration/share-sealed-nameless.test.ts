import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { mountSmallDisk } from '../support/machine/small-disk.js'
import { startTreeline, temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { startSmallRelay } from '../support/relays/small-relay.js'

test('a sealed file has no name while it is sent: whatever ends the command leaves nothing behind', async t => {
  const folder = await temporaryFolder(t)
  const [data, scratch] = [join(folder, 'data'), join(folder, 'scratch')]
  await Promise.all([writeFile(data, 'content'), mkdir(scratch)])
  const keys = await treeline(t, ['key', 'generate', '--out', folder])
  assert.equal(keys.code, 0, keys.stderr)
  let onAsked: () => void = () => undefined
  const asked = new Promise<void>(resolve => {
    onAsked = resolve
  })
  const relay = await startSmallRelay(t, { 'HEAD shared-files/b/a/id': () => onAsked() }) // answers nothing
  const keyFile = join(folder, 'treeline-sign.key')
  const args = ['share', 'b', 'id', data, '--ttl', '1h', '--source', 'a', '--server', relay.url, '--key', keyFile]
  const sealed = [...args, '--seal', join(folder, 'treeline-seal.pub')]
  const command = startTreeline(t, sealed, { TMPDIR: scratch })
  await asked
  assert.deepEqual(await readdir(scratch), [])
  command.child.kill('SIGKILL')
  await command.ended
  const nowhere = await treeline(t, sealed, { TMPDIR: join(folder, 'none') })
  assert.match(nowhere.stderr, /none cannot be written: /)
})

test('where the folder for temporary files is full, that folder is named', async t => {
  const disk = await mountSmallDisk(t, 1)
  if (disk === undefined) return
  const folder = await temporaryFolder(t)
  const data = join(folder, 'data')
  await writeFile(data, Buffer.alloc(3_000_000))
  const sealFor = `x25519:${Buffer.alloc(32, 9).toString('base64')}`
  const args = ['share', 'b', 'id', data, '--ttl', '1h', '--source', 'a', '--key', data, '--seal', sealFor]
  const { code, stderr } = await treeline(t, args, { TMPDIR: disk.path })
  assert.match(stderr, /^treeline: \S+treeline-disk-\w+ cannot be written: ENOSPC: .*TMPDIR names another folder$/m)
  assert.equal(code, 1)
})

test('so it is where a fetched file is given on to a pipe', async t => {
  const disk = await mountSmallDisk(t, 1)
  if (disk === undefined) return
  const folder = await temporaryFolder(t)
  const data = join(folder, 'data')
  await writeFile(data, Buffer.alloc(3_000_000))
  assert.equal((await treeline(t, ['key', 'generate', '--out', folder])).code, 0)
  const relay = await startSmallRelay(t)
  const source = ['--source', 'a', '--server', relay.url, '--key', join(folder, 'treeline-sign.key')]
  const shared = await treeline(t, ['share', 'b', 'id', data, '--ttl', '1h', ...source])
  assert.equal(shared.code, 0, shared.stderr)
  const args = ['fetch', 'a', 'id', '/dev/stdout', '--target', 'b', '--server', relay.url]
  const { code, stderr } = await treeline(t, args, { TMPDIR: disk.path })
  assert.match(stderr, /^treeline: \S+treeline-disk-\w+ cannot be written: ENOSPC: .*TMPDIR names another folder$/m)
  assert.equal(code, 1)
})
