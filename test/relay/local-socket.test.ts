import assert from 'node:assert/strict'
import { once } from 'node:events'
import { lchown, mkdir, mkdtemp, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fastify from 'fastify'
import { parseConfig } from '../../src/config/config-parser.js'
import { HeldFolder } from '../../src/file-system/folders/held-folder.js'
import { openLocalSocket } from '../../src/relay/listening/local-socket.js'
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
    const server = await openLocalSocket(app, CONFIG, path, 100, socket => void noted.push(socket))
    t.after(() => void server.close())
    return server
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
    const server = await open(path)
    assert.equal(process.umask(), 0)
    assert.equal((await stat(path)).mode & 0o777, 0o660)
    const headers = Object.fromEntries(Array.from({ length: 1_500 }, (_, index) => [`x${index}`, '']))
    assert.equal(await get(path, headers), '1502', 'all of them, for those that check them')
    assert.equal(noted.length, 1)
    server.close()
    await once(server, 'close')
    await assert.rejects(stat(path), { code: 'ENOENT' })
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
  const server = await open(join(named, 'relay.sock'))
  assert.deepEqual(await readdir(other), [])
  assert.equal(await get(join(former, 'relay.sock')), '2')
  server.close()
  await once(server, 'close')
  assert.deepEqual(await readdir(former), [], 'it is gone from there')
})

/** As a process that was killed leaves it: closing a socket removes the name that it was bound to, and no other. */
async function leaveSocket(path: string): Promise<void> {
  const server = createServer().listen(`${path}.before`)
  await once(server, 'listening')
  await rename(`${path}.before`, path)
  server.close()
  await once(server, 'close')
}
