import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { lchown, mkdir, readdir, rename, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { EventLog } from '../../src/remote-run/event-log/event-log.js'
import { LogFiles } from '../../src/remote-run/event-log/log-files.js'
import { errorCode } from '../../src/values/failures/system-error.js'
import { type Logger, silentLogger } from '../../src/values/logging/logger.js'
import { eventually } from '../support/eventually.js'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { mountSmallDisk } from '../support/machine/small-disk.js'
import { temporaryFolder } from '../support/parts/neighbours.js'

/** A device whose disk is full. */
const FULL = '/dev/full'

test('a log on a full disk loses output alone, says so once with its path, and ends all the same', async () => {
  const lines: unknown[] = []
  const note = (level: string) => (details: { readonly err?: unknown; readonly path?: unknown }, message: string) => {
    lines.push([level, message, details.path, typeof errorCode(details.err)])
  }
  const logger: Logger = { error: note('error'), warn: note('warn'), info: note('info'), debug: note('debug') }
  const log = await EventLog.create(FULL, 'run', logger)
  log.append({ event: 'start', relay: 'root' })
  log.append({ event: 'output', node: 'a', data: 'much\n' })
  await log.drained()
  log.append({ event: 'node', node: 'a', outcome: 'done' })
  await log.close()
  assert.deepEqual(lines, [
    ['error', 'lost output of a run: cannot write its log', FULL, 'string'],
    ['warn', 'cannot cut an incomplete event off the log of a run; the next event overwrites it', FULL, 'string'],
    ['error', 'cannot fsync the log of a run', FULL, 'string']
  ])
  assert.ok(log.closed, 'readers wait for nothing more')
  assert.equal(log.writtenBytes, 0)
  assert.deepEqual(log.unwritten, [
    '{"seq":1,"event":"start","run":"run","relay":"root"}\n',
    '{"seq":3,"event":"node","run":"run","node":"a","outcome":"done"}\n'
  ])
})

test('what a full disk refused is written once there is room: by itself, and by the close', async t => {
  const disk = await mountSmallDisk(t, 1)
  if (disk === undefined) return
  const path = join(disk.path, 'log')
  const log = await EventLog.create(path, 'run', silentLogger)
  await disk.fill()
  log.append({ event: 'start', relay: 'root' })
  log.append({ event: 'output', node: 'a', data: 'much\n' })
  await log.drained()
  log.append({ event: 'node', node: 'a', outcome: 'done' })
  assert.equal(log.writtenBytes, 0)
  await disk.empty()
  await eventually('it is written, though nothing is appended', () => log.writtenBytes > 0)
  log.append({ event: 'output', node: 'b', data: 'more\n' })
  await log.drained()
  await disk.fill()
  log.append({ event: 'output', node: 'b', data: 'x'.repeat(8_192) })
  log.append({ event: 'node', node: 'b', outcome: 'done' })
  await log.drained()
  assert.equal(log.unwritten.length, 1)
  await disk.empty()
  await log.close()
  assert.deepEqual(log.unwritten, [])
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  assert.deepEqual(
    lines.map(line => JSON.parse(line).seq),
    [1, 3, 4, 6]
  )
})

test('as much as has room in memory of what a full disk refuses is kept, and the oldest of it', async () => {
  const log = await EventLog.create(FULL, 'run', silentLogger)
  const message = 'x'.repeat(1_000)
  for (let count = 0; count < 2_000; count += 1) log.append({ event: 'error', relay: 'root', message })
  await log.close()
  const seqs = log.unwritten.map(line => Number(JSON.parse(line).seq))
  assert.ok(log.unwritten.join('').length <= 1024 * 1024)
  assert.ok(seqs.length > 900)
  assert.deepEqual(
    seqs,
    seqs.map((_, index) => index + 1)
  )
})

testAsRoot('no log is made through a link that another user puts in the place of the folder of logs', async t => {
  const folder = await temporaryFolder(t)
  const files = new LogFiles(folder)
  await files.makeFolder()
  await (await files.createLog('before', silentLogger)).close()
  const [runs, elsewhere] = [join(folder, 'runs'), join(folder, 'elsewhere')]
  await rename(runs, `${runs}.former`)
  await mkdir(elsewhere)
  await symlink(elsewhere, runs)
  await lchown(runs, 65_534, 65_534)
  await assert.rejects(files.createLog('after', silentLogger), {
    code: 'STORAGE_UNUSABLE',
    message: `${runs} is a symbolic link of user 65534, and is not followed; remove it`
  })
  assert.deepEqual(await readdir(elsewhere), [])
})
