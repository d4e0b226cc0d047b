import assert from 'node:assert/strict'
import { chown, mkdir, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { refuseForeign } from '../../src/cli/checks/foreign-folder.js'
import { temporaryFolder } from '../support/neighbours.js'

const ROOT = 0
const SOMEBODY = 65_534

/** Root needs a file of another user; for any other user their own ones are that, when asked as root. */
async function giveAway(path: string): Promise<void> {
  if (process.geteuid?.() === ROOT) await chown(path, SOMEBODY, SOMEBODY)
}

test('root sets nothing up in a folder, or with a key, of somebody else', async t => {
  const folder = await temporaryFolder(t)
  const theirs = join(folder, 'theirs')
  await mkdir(theirs)
  await giveAway(theirs)
  await assert.rejects(refuseForeign([theirs], ['no-such-user'], ROOT), /theirs belongs to user \d+, who could change/)

  const ours = join(folder, 'ours')
  await mkdir(ours)
  await writeFile(join(ours, 'tls.key'), '')
  await giveAway(join(ours, 'tls.key'))
  await assert.rejects(refuseForeign([ours], [], ROOT), /belongs to user \d+/)
})

test('folders of whom it will be run as are as good, and so are those that are not there yet', async t => {
  const folder = await temporaryFolder(t)
  await refuseForeign([folder, join(folder, 'new')], [userInfo().username], ROOT)
})

test('a user who is not root has no rights that others could use', async t => {
  const folder = await temporaryFolder(t)
  await giveAway(folder)
  await refuseForeign([folder], [], 1_000)
})
