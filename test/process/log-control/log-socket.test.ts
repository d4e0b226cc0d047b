import assert from 'node:assert/strict'
import { chmod, chown, lchown, lstat, mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { LogLevelControl } from '../../../src/process/log-control/log-level.js'
import { askForLevel, openLogSocket } from '../../../src/process/log-control/log-socket.js'
import { checkRunFolder, findProcessSockets, runFolder } from '../../../src/process/log-control/run-folder.js'
import { eventually } from '../../support/eventually.js'
import { testAsRoot } from '../../support/machine/own-namespace.js'
import { temporaryFolder, treeline } from '../../support/machine/treeline-command.js'

const SOMEBODY = 65_534

/** Opens the socket of this process in `folder`. */
async function open(t: TestContext, folder: string) {
  const former = process.env.TREELINE_RUN_DIR
  process.env.TREELINE_RUN_DIR = folder
  t.after(() => {
    if (former === undefined) delete process.env.TREELINE_RUN_DIR
    else process.env.TREELINE_RUN_DIR = former
  })
  const warnings: unknown[] = []
  const logger = {
    level: 'info',
    info: () => undefined,
    debug: () => undefined,
    warn: (it: object) => warnings.push(it)
  }
  const level = new LogLevelControl(logger, 'info')
  t.after(() => level.reset())
  const close = await openLogSocket({ kind: 'client', name: 'git', level, logger })
  t.after(close)
  return { logger, level, warnings: () => JSON.stringify(warnings), close }
}

/** Leaves a socket in the file system without a process that listens. */
async function leaveSocket(path: string): Promise<void> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(`${path}.bound`, resolve))
  const { link } = await import('node:fs/promises')
  await link(`${path}.bound`, path)
  await new Promise(resolve => server.close(resolve))
}

test('the socket is for the own user, sets the level, and goes when it is closed', async t => {
  const folder = await temporaryFolder(t)
  const { logger, close } = await open(t, folder)
  const [socket] = findProcessSockets(folder)
  assert.ok(socket !== undefined)
  assert.equal(socket.pid, process.pid)
  assert.equal((await lstat(socket.path)).mode & 0o777, 0o600)
  assert.deepEqual(await askForLevel(socket.path, {}), {
    kind: 'client',
    name: 'git',
    level: 'info',
    ttl_ms: undefined
  })
  const { level, ttl_ms: ttlMs = 0 } = await askForLevel(socket.path, { level: 'trace' })
  assert.equal(level, 'trace')
  assert.ok(ttlMs > 0 && ttlMs <= 600_000, String(ttlMs))
  assert.equal(logger.level, 'trace')
  close()
  await eventually('the socket is gone', async () => (await readdir(folder)).length === 0)
})

test('a caller that sends nonsense, too much or nothing changes nothing, and the next one is answered', async t => {
  const folder = await temporaryFolder(t)
  const { logger } = await open(t, folder)
  const path = findProcessSockets(folder)[0]?.path ?? ''
  const silent = await new Promise<Socket>(resolve => {
    const socket = connect(path, () => resolve(socket))
  })
  for (const text of ['\n', 'x'.repeat(100_000), '{"level":"loud"}\n', '{"level":"debug","ttl_ms":86400001}\n']) {
    const answer = await new Promise<string>(resolve => {
      let got = ''
      const socket = connect(path, () => socket.end(text))
      socket.setEncoding('utf8').on('data', part => (got += part))
      socket.on('error', () => undefined).on('close', () => resolve(got))
    })
    assert.ok(answer === '' || /^\{"error":".*"\}\n$/.test(answer), answer)
  }
  assert.equal((await askForLevel(path, {})).level, 'info')
  assert.equal(logger.level, 'info')
  silent.destroy()
})

test('what former processes left is removed, and nothing else', async t => {
  const folder = await temporaryFolder(t)
  const path = (pid: number) => join(folder, `treeline-${pid}-0123456789abcdef.sock`)
  const [gone, fresh, running, file] = [2 ** 22 + 1, 2 ** 22 + 2, process.pid, 2 ** 22 + 3].map(path)
  if (gone === undefined || fresh === undefined || running === undefined || file === undefined) return
  for (const each of [gone, fresh, running]) await leaveSocket(each)
  await writeFile(file, 'a file with such a name')
  for (const each of [gone, running, file]) await utimes(each, 1, 1)
  const { close } = await open(t, folder)
  const left = await readdir(folder)
  assert.ok(!left.includes('treeline-4194305-0123456789abcdef.sock'), 'that of a process that has gone')
  assert.equal(left.length, 4, `a fresh one, one whose process runs, a file, the own one: ${left}`)
  close()
})

test('a folder that is missing, no folder or has too long a path is a warning', async t => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'file'), '')
  await mkdir(join(folder, 'open'))
  await chmod(join(folder, 'open'), 0o777)
  assert.equal((await open(t, join(folder, 'open'))).warnings(), '[]', 'a volume of Kubernetes is like this')
  const long = join(folder, 'x'.repeat(100))
  await mkdir(long)
  for (const [name, problem] of [
    [join(folder, 'missing'), /ENOENT/],
    [join(folder, 'file'), /is no folder/],
    [long, /is longer than 103 bytes/],
    ['relative', /expected an absolute path/]
  ] as const) {
    const { warnings } = await open(t, name)
    assert.match(warnings(), problem)
  }
  assert.equal(runFolder({}), '/tmp')
  assert.doesNotThrow(() => checkRunFolder('/tmp'))
})

testAsRoot('a folder of another user is a warning, and a socket of another user is none of this one', async t => {
  const folder = await temporaryFolder(t)
  await chown(folder, SOMEBODY, SOMEBODY)
  assert.match((await open(t, folder)).warnings(), /belongs to user 65534: name a folder of this user's/)
  await chown(folder, 0, 0)
  const squatted = join(folder, 'treeline-1-0123456789abcdef.sock')
  await leaveSocket(squatted)
  await lchown(squatted, SOMEBODY, SOMEBODY)
  const { code, stderr } = await treeline(t, ['log', '--level', 'debug'], { TREELINE_RUN_DIR: folder })
  assert.equal(code, 1)
  assert.match(stderr, /run this as the user of the process: process 1 of user 65534/)
})
