import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { DiskWatch } from '../../src/relay/disk-watch.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

test('a file in the place of a folder of the relay is named; one that is missing is made again when it is needed', async t => {
  const path = await temporaryFolder(t)
  const disks = new DiskWatch([{ setting: 'storage.path', path }], -1)
  assert.equal(await disks.problem(), undefined)
  for (const name of ['runs', '.incoming~', '.outbox~']) {
    const inner = join(path, name)
    await writeFile(inner, '')
    assert.equal(
      await disks.problem(),
      `${inner} in storage.path (${path}) is a file, where a folder belongs; move it away: the folder is made again`
    )
    await rm(inner)
    await mkdir(inner)
    assert.equal(await disks.problem(), undefined)
  }
})

test('a link that has the name of the probe is taken away, and nothing is written where it leads', async t => {
  const path = await temporaryFolder(t)
  const file = join(path, 'file')
  await writeFile(file, 'content')
  await symlink(file, join(path, '.probe~'))
  const disks = new DiskWatch([{ setting: 'storage.path', path }], -1)
  for (const _ of ['with the link', 'without']) assert.equal(await disks.problem(), undefined)
  assert.equal(await readFile(file, 'utf8'), 'content')
})

test('a write that stops within the probe is a problem of the disk', async t => {
  const path = await temporaryFolder(t)
  const disks = new DiskWatch([{ setting: 'storage.path', path }], -1)
  const limit = (soft: string) => promisify(execFile)('prlimit', ['--pid', String(process.pid), `--fsize=${soft}:`])
  await limit('2048')
  t.after(() => limit('unlimited'))
  assert.match((await disks.problem()) ?? '', /a file in storage\.path \(\S+\) would be larger than its file system/)
})
