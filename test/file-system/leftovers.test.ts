import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { replaceWithUndo } from '../../src/file-exchange/atomic-write.js'
import { makeFile, replaceFile } from '../../src/file-system/files/durable-file.js'
import { MAX_NAMES_SEEN, removeLeftovers, temporaryName } from '../../src/file-system/files/leftovers.js'
import { HeldFolder } from '../../src/file-system/folders/held-folder.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const HOUR_MS = 3_600_000

test('what killed processes left beside a file goes when it is replaced or made; what a process may still use stays', async t => {
  const folder = await temporaryFolder(t)
  const alive = spawn('sleep', ['600'])
  t.after(() => alive.kill())
  const ended = spawnSync('true').pid
  const nameOf = (name: string, pid: number | undefined) => temporaryName(name).replace(`${process.pid}-`, `${pid}-`)
  const left = [nameOf('a', ended), nameOf('c', ended), nameOf('a', process.pid), nameOf('b', ended)] // that of our own id was left in a former container
  const kept = [nameOf('a', alive.pid), nameOf('other', ended), `.a.${ended}~`, '.a.backup~']
  for (const name of [...left, ...kept]) writeFileSync(join(folder, name), 'half')
  const write = async (file: { writeFile(text: string): Promise<void> }) => {
    await file.writeFile('whole')
    return true
  }
  await replaceFile(join(folder, 'a'), 0o600, write)
  assert.deepEqual(readdirSync(folder).sort(), ['a', ...left, ...kept].sort(), 'another container may be at it')

  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + HOUR_MS })
  await replaceFile(join(folder, 'a'), 0o600, write)
  await makeFile(join(folder, 'b'), 0o600, write)
  await (await replaceWithUndo(join(folder, 'c'), 'whole')).keep()
  assert.deepEqual(readdirSync(folder).sort(), ['a', 'b', 'c', ...kept].sort())
})

test('what an earlier version left under a name without a process goes once it is a day old', async t => {
  const folder = await temporaryFolder(t)
  const [left, ...kept] = ['.a.0123456789ab~', '.a.0123456789AB~', '.a.0123456789abc~', '.other.0123456789ab~']
  for (const name of [left ?? '', ...kept]) writeFileSync(join(folder, name), 'half')
  const held = await HeldFolder.open(folder)
  t.after(() => held.close())
  await removeLeftovers(held, 'a', Date.now() + HOUR_MS)
  assert.equal(readdirSync(folder).length, 4, 'a process of that version may still be at it')
  await removeLeftovers(held, 'a', Date.now() + 25 * HOUR_MS)
  assert.deepEqual(readdirSync(folder).sort(), [...kept].sort())
})

test('a long folder is not read to its end', async t => {
  const path = await temporaryFolder(t)
  const ended = spawnSync('true').pid
  for (let index = 0; index < MAX_NAMES_SEEN + 10; index += 1) {
    writeFileSync(join(path, temporaryName('a').replace(`${process.pid}-`, `${ended}-`)), '')
  }
  const folder = await HeldFolder.open(path)
  t.after(() => folder.close())
  await removeLeftovers(folder, 'a', Date.now() + HOUR_MS)
  assert.equal(readdirSync(path).length, 10)
  await removeLeftovers(folder, 'a', Date.now() + HOUR_MS)
  assert.deepEqual(readdirSync(path), [])
})
