import assert from 'node:assert/strict'
import { once } from 'node:events'
import { lchown, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fastify from 'fastify'
import { parseConfig } from '../../src/config/config-parser.js'
import { HeldFolder } from '../../src/file-system/folders/held-folder.js'
import { KeptSocket } from '../../src/relay/listening/kept-socket.js'
import { openLocalSocket } from '../../src/relay/listening/local-socket.js'
import { eventually } from '../support/eventually.js'
import { testAsRoot } from '../support/machine/own-namespace.js'

const CONFIG = parseConfig('[general]\nnode_id = "root"', '', '/', () => '')

async function opener(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-socket-'))
  t.after(() => rm(folder, { recursive: true }))
  const app = fastify()
  app.get('/', async request => `${request.raw.rawHeaders.length / 2}`)
  await app.ready()
  const noted: object[] = []
  const open = async (path: string) => {
    const opened = await openLocalSocket(app, CONFIG, path, 100, socket => void noted.push(socket))
    t.after(() => opened.close())
    return opened
  }
  return { open, folder, noted }
}

async function get(socketPath: string, headers: Record<string, string> = {}): Promise<string> {
  const request = httpRequest({ socketPath, headers, agent: false })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return text
}

test('a socket is for its owner and group, whatever the umask, and goes when it is closed', async t => {
  const { open, folder, noted } = await opener(t)
  const path = join(folder, 'relay.sock')
  const before = process.umask(0)
  try {
    const { server, close } = await open(path)
    assert.equal(process.umask(), 0)
    assert.equal((await stat(path)).mode & 0o777, 0o660)
    const headers = Object.fromEntries(Array.from({ length: 1_500 }, (_, index) => [`x${index}`, '']))
    assert.equal(await get(path, headers), '1502', 'all of them, for those that check them')
    assert.equal(noted.length, 1)
    close()
    await once(server, 'close')
    assert.deepEqual(await readdir(folder), [])
  } finally {
    process.umask(before)
  }
})

test('one that a process left behind is replaced; a live one, a file, a link and what cannot be told are not', async t => {
  const { open, folder } = await opener(t)
  const path = join(folder, 'relay.sock')
  const live = createServer().listen(path)
  await once(live, 'listening')
  await assert.rejects(open(path), /^Error: general\.socket: another process listens at .*relay\.sock/)
  assert.ok((await stat(path)).isSocket())
  const probe: Socket = connect(path)
  await once(probe, 'connect')
  probe.destroy()
  live.close()
  await once(live, 'close')

  await leaveSocket(path)
  await open(path)
  assert.equal(await get(path), '2')

  const file = join(folder, 'file')
  await writeFile(file, 'of someone')
  await assert.rejects(open(file), /is no socket: choose another path/)
  await symlink(path, join(folder, 'link'))
  await assert.rejects(open(join(folder, 'link')), /is no socket: choose another path/)
  await assert.rejects(open(join(folder, 'none', 'relay.sock')), /the folder of .* is not there/)
})

testAsRoot('root removes no socket that a link of another user leads to', async t => {
  const { open, folder } = await opener(t)
  const [links, of] = [join(folder, 'links'), join(folder, 'of-another')]
  await Promise.all([mkdir(links), mkdir(of)])
  await leaveSocket(join(of, 'relay.sock'))
  await symlink(of, join(links, 'way'))
  await lchown(join(links, 'way'), 12_345, 12_345)
  await assert.rejects(
    open(join(links, 'way', 'relay.sock')),
    /^Error: general\.socket: .*way is a symbolic link of user 12345, which root does not follow: name the folder/
  )
  assert.ok((await stat(join(of, 'relay.sock'))).isSocket(), 'it is still there')
  await lchown(join(links, 'way'), 0, 0)
  await open(join(links, 'way', 'relay.sock'))
  assert.equal(await get(join(of, 'relay.sock')), '2', 'a link of its own is followed')
})

testAsRoot('root listens in the folder that was looked at, whatever has its path by then', async t => {
  const { open, folder } = await opener(t)
  const [named, former, other] = [join(folder, 'named'), join(folder, 'former'), join(folder, 'other')]
  await Promise.all([mkdir(named), mkdir(other)])
  const find = HeldFolder.prototype.find
  t.mock.method(HeldFolder.prototype, 'find', async function (this: HeldFolder, name: string) {
    const found = await find.call(this, name)
    if (name !== 'relay.sock') return found
    await rename(named, former)
    await symlink(other, named)
    return found
  })
  const { server, close } = await open(join(named, 'relay.sock'))
  assert.deepEqual(await readdir(other), [])
  assert.equal(await get(join(former, 'relay.sock')), '2')
  close()
  await once(server, 'close')
  assert.deepEqual(await readdir(former), [], 'it is gone from there')
})

test('what has the place of a socket when it is closed stays, and what a killed process left beside it is removed', async t => {
  const { open, folder } = await opener(t)
  const path = join(folder, 'relay.sock')
  await leaveSocket(`${path}~`)
  const { server, close, isThere } = await open(path)
  assert.deepEqual(await readdir(folder), ['relay.sock'])
  assert.equal(await isThere(), true)
  await rm(path)
  assert.equal(await isThere(), false)
  await writeFile(path, 'of someone')
  assert.equal(await isThere(), false)
  close()
  await once(server, 'close')
  assert.equal(await readFile(path, 'utf8'), 'of someone')
})

test('a socket that was removed, or whose folder was renamed, is made again', async t => {
  const { open, folder } = await opener(t)
  const [named, former] = [join(folder, 'named'), join(folder, 'former')]
  const path = join(named, 'relay.sock')
  await mkdir(named)
  const log: unknown[] = []
  const logger = { warn: (_: object, text?: string) => log.push(text), error: (details: object) => log.push(details) }
  const kept = new KeptSocket(await open(path), { path, open: () => open(path), logger, everyMs: 10 })
  t.after(() => kept.close())
  await rm(path)
  await eventually('another socket', () => log.length === 1)
  assert.equal(await get(path), '2')

  await rename(named, former)
  await eventually('a line of the log', () => log.length === 2)
  assert.equal(await get(join(former, 'relay.sock')), '2', 'it is still asked there')
  await mkdir(named)
  await eventually('another socket', () => log.length === 3)
  assert.equal(await get(path), '2')
  assert.deepEqual(await readdir(former), [], 'the former one is gone')
  const reason = `general.socket: the folder of ${path} is not there: make it, for the user of the relay`
  const made = 'the socket was gone; made it again'
  assert.deepEqual(log, [made, { path, reason }, made])
})

test('what has its place is not replaced, and its makers are told once of it', async t => {
  const { open, folder } = await opener(t)
  const path = join(folder, 'relay.sock')
  const log: unknown[] = []
  const logger = { warn: () => assert.fail('it was made'), error: (details: object) => log.push(details) }
  const kept = new KeptSocket(await open(path), { path, open: () => open(path), logger, everyMs: 3_600_000 })
  t.after(() => kept.close())
  await rm(path)
  const live = createServer().listen(path)
  await once(live, 'listening')
  t.after(() => live.close())
  for (let look = 0; look < 2; look += 1) assert.match((await kept.look()) ?? '', /another process listens at/)
  assert.equal(log.length, 1)
  await kept.close()
  const probe: Socket = connect(path)
  await once(probe, 'connect')
  probe.destroy()
})

/** As a process that was killed leaves it: closing a socket removes the name that it was bound to, and no other. */
async function leaveSocket(path: string): Promise<void> {
  const server = createServer().listen(`${path}.before`)
  await once(server, 'listening')
  await rename(`${path}.before`, path)
  server.close()
  await once(server, 'close')
}
