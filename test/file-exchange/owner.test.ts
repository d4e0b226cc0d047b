import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { findOwner } from '../../src/file-exchange/places/owner.js'
import { eventually } from '../support/eventually.js'
import { isAlive } from '../support/machine/is-alive.js'

/** @param option of `id`: `-u`, `-g` */
async function numberOf(user: string, option: string): Promise<number> {
  return Number((await promisify(execFile)('id', [option, user])).stdout)
}

test('a user alone brings their own group, a number alone none; a group that is given counts', async () => {
  const user = 'nobody'
  const [uid, gid] = [await numberOf(user, '-u'), await numberOf(user, '-g')]
  assert.deepEqual(await findOwner(user), { uid, gid })
  assert.deepEqual(await findOwner(`${user}:daemon`), { uid, gid: await numberOf('daemon', '-g') })
  assert.deepEqual(await findOwner(`${user}:4243`), { uid, gid: 4_243 })
  assert.deepEqual(await findOwner('4242'), { uid: 4_242, gid: -1 })
  assert.deepEqual(await findOwner('4242:daemon'), { uid: 4_242, gid: await numberOf('daemon', '-g') })
  await assert.rejects(findOwner('no-such-user'), /owner: the system knows no user no-such-user/)
  await assert.rejects(findOwner('nobody:no-such-group'), /owner: the system knows no group no-such-group/)
})

test('a directory of users that does not answer is given up, and the command that asks it ended', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-owner-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const pidFile = join(folder, 'pid')
  await writeFile(join(folder, 'getent'), `#!/bin/sh\necho $$ > ${pidFile}\nexec sleep 1000\n`, { mode: 0o755 })
  const path = process.env.PATH
  process.env.PATH = `${folder}:${path}`
  t.after(() => {
    process.env.PATH = path
  })
  const found = findOwner('somebody', 1_000)
  await assert.rejects(found, /cannot look up the user somebody: .* has not answered within 1 s/)
  const pid = Number(await readFile(pidFile, 'utf8'))
  await eventually('the command to end', () => !isAlive(pid))
})
