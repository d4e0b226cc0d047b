import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  chmod,
  chown,
  copyFile,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile
} from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { FileState } from '../../src/agent/files/file-state.js'
import { mountSmallDisk } from '../support/machine/small-disk.js'
import { makeReceiver, put, RSA } from '../support/work/receivers.js'

const HOUR_MS = 3_600_000

test('a file that was signed before the one that was taken is not taken, wherever it is to go, and after a restart', async t => {
  const { folder, relay, start } = await makeReceiver(t, own => [[join(own, 'one')], [join(own, 'two')]])
  const nowMs = Date.now()
  const receive = await start()
  put(relay, 'new', nowMs)
  assert.equal(await receive(0), true)

  put(relay, 'old', nowMs - HOUR_MS)
  const refusal = /f of a was signed at .*Z, and one signed at .*Z was taken before: an older file is not taken again/
  await assert.rejects(receive(0), refusal)
  const again = await start()
  await assert.rejects(again(0), refusal)
  await assert.rejects(again(1), refusal)
  assert.equal(await readFile(join(folder, 'one'), 'utf8'), 'new')

  put(relay, 'of no known time', nowMs, RSA)
  await assert.rejects(again(0), /has a signature that covers no time, and one signed at/)

  put(relay, 'newer', nowMs + HOUR_MS)
  assert.deepEqual([await again(0), await again(1)], [true, true], 'the same one goes to both places')
  assert.equal(await readFile(join(folder, 'two'), 'utf8'), 'newer')

  await writeFile(join(folder, 'files.json'), '{')
  await assert.rejects(FileState.open(folder), /files.json cannot be used .*: restore it, or remove it/)
})

test('files of existing agents, whose signatures cover no time, replace one another', async t => {
  const { folder, relay, start } = await makeReceiver(t, own => [[join(own, 'one'), 'mode = "0600"']])
  const receive = await start()
  for (const content of ['first', 'second']) {
    put(relay, content, Date.now(), RSA)
    assert.equal(await receive(0), true)
    assert.equal(await readFile(join(folder, 'one'), 'utf8'), content)
    assert.equal((await stat(join(folder, 'one'))).mode & 0o7777, 0o600)
  }
})

test('a received file that was changed is replaced, also where its size and time are as before', async t => {
  const { folder, relay, start } = await makeReceiver(t, own => [[join(own, 'one'), 'mode = "0600"']])
  put(relay, 'content', Date.now())
  const receive = await start()
  assert.equal(await receive(0), true)
  const [path, times] = [join(folder, 'one'), join(folder, 'times')]
  const changes: Record<string, () => Promise<void>> = {
    'another content': () => writeFile(path, 'CONTENT'),
    'another file': () => copyFile(path, `${path}~`).then(() => rename(`${path}~`, path)),
    'another mode': () => chmod(path, 0o666),
    ...(process.getuid?.() === 0 ? { 'another owner (as root)': () => chown(path, 4_242, 0) } : {})
  }
  await writeFile(times, '')
  for (const [name, change] of Object.entries(changes)) {
    assert.equal(await receive(0), false, name)
    await promisify(execFile)('touch', ['-r', path, times])
    await change()
    await promisify(execFile)('touch', ['-r', times, path])
    assert.equal(await receive(0), true, name)
    assert.equal(await readFile(path, 'utf8'), 'content')
    const { uid, mode } = await stat(path)
    assert.deepEqual([uid, mode & 0o777], [process.getuid?.(), 0o600])
  }
})

test('a received file is not fetched again for a further name of it, nor for what its command did to its mode', async t => {
  const { folder, relay, start } = await makeReceiver(t, own => [
    [join(own, 'one'), `command = ["chmod", "0640", "${join(own, 'one')}"]`]
  ])
  put(relay, 'content', Date.now())
  const receive = await start()
  assert.equal(await receive(0), true)
  assert.equal(await receive(0), false)
  await link(join(folder, 'one'), join(folder, 'further'))
  assert.equal(await receive(0), false)
  assert.equal((await stat(join(folder, 'one'))).mode & 0o777, 0o640)
  const again = await start()
  assert.equal(await again(0), false)
})

test('a FIFO in the place of a received file is refused, and left alone', async t => {
  const { folder, relay, start } = await makeReceiver(t, own => [[join(own, 'fifo')]])
  put(relay, 'content', Date.now())
  await promisify(execFile)('mkfifo', [join(folder, 'fifo')])
  const receive = await start()
  await assert.rejects(receive(0), /fifo is a FIFO; name a file/)
  assert.equal((await stat(join(folder, 'fifo'))).isFIFO(), true)
})

test('an agent of root writes nothing where another user could make it lead elsewhere', async t => {
  const isRoot = process.getuid?.() === 0
  // Without root an agent can harm nobody but its own user, and writes wherever that one may.
  const user = isRoot ? 4_242 : (process.getuid?.() ?? 0)
  const { folder, relay, start } = await makeReceiver(t, own => [
    [join(own, 'home', 'file')],
    [join(own, 'home', 'file'), `owner = "${user}:${user}"`],
    [join(own, 'home', 'link'), `owner = "${user}:${user}"`]
  ])
  await chmod(folder, 0o755)
  const home = join(folder, 'home')
  await mkdir(home)
  put(relay, 'content', Date.now())
  const receive = await start()
  if (!isRoot) {
    assert.equal(await receive(0), true)
    return
  }
  await chown(home, user, user)
  await assert.rejects(receive(0), /the folder .*home belongs to user 4242/)
  assert.equal(await receive(1), true)
  const { uid, gid } = await stat(join(home, 'file'))
  assert.deepEqual([uid, gid], [user, user])
  await writeFile(join(folder, 'of-root'), 'secret', { mode: 0o600 })
  await symlink(join(folder, 'of-root'), join(home, 'link'))
  await assert.rejects(receive(2), /link is a link of user 0|link is a link of user 4242/)
  const kept = await lstat(join(folder, 'of-root'))
  assert.deepEqual([kept.uid, await readFile(join(folder, 'of-root'), 'utf8')], [0, 'secret'])
})

test('a file that finds no room at its destination fails with that, and its path; the former one stays', async t => {
  const disk = await mountSmallDisk(t, 1)
  if (disk === undefined) return
  const destination = join(disk.path, 'file')
  const { relay, start } = await makeReceiver(t, () => [[destination]])
  const receive = await start()
  put(relay, 'former', Date.now())
  assert.equal(await receive(0), true)
  put(relay, 'x'.repeat(3 * 1024 * 1024), Date.now() + 1)
  await assert.rejects(
    receive(0),
    new RegExp(`^ClientError: ${destination} cannot be written: .*no space left on device`)
  )
  assert.equal(await readFile(destination, 'utf8'), 'former')
  assert.deepEqual(await readdir(disk.path), ['file'])
})

test('a command that has run does not run again after a restart where a full disk took no record of it', async t => {
  const disk = await mountSmallDisk(t, 1)
  if (disk === undefined) return
  const filler = join(disk.path, 'filler')
  const { folder, relay, start } = await makeReceiver(
    t,
    own => [
      [
        join(own, 'one'),
        `command = ["/bin/sh", "-c", "echo once >> ${join(own, 'runs')}; head -c 2000000 /dev/zero > ${filler}"]`
      ]
    ],
    disk.path
  )
  put(relay, 'content', Date.now())
  const receive = await start()
  await assert.rejects(receive(0), /no space left on device/)
  await rm(filler)
  assert.equal(await receive(0), false)
  const again = await start()
  assert.equal(await again(0), false)
  assert.equal(await readFile(join(folder, 'runs'), 'utf8'), 'once\n')
})
