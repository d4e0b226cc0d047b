import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmod, chown, mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { freePorts } from '../../demo/free-ports.js'
import { copyForOthers } from '../support/machine/other-user.js'
import { IS_ROOT } from '../support/machine/own-namespace.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const NOBODY = 65_534
const AS_PLAIN_USER = IS_ROOT ? ['setpriv', '--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'] : []
const AS_ONLY_USER = [...AS_PLAIN_USER, 'unshare', '--user', '--map-root-user']

test('the root of a namespace without other users sets up a relay, as any plain user does', async t => {
  const [first = '', ...rest] = [...AS_ONLY_USER, 'true']
  if (process.platform !== 'linux' || spawnSync(first, rest).status !== 0)
    return t.skip('users make no namespaces here')
  const run = await copyForOthers(t)
  const asOnlyUser = (...args: string[]) => run(AS_ONLY_USER, args)
  const outer = await temporaryFolder(t)
  await chmod(outer, 0o711)
  const folder = join(outer, 'own')
  await mkdir(folder)
  if (IS_ROOT) await chown(folder, NOBODY, NOBODY)
  const [https = 0, http = 0] = await freePorts(2)
  const root = join(folder, 'root')
  const init = ['init', '--dir', root, '--host', `127.0.0.1:${https}`, '--listen', `127.0.0.1:${http}`]
  const made = await asOnlyUser(...init, '--command', '/bin/echo')
  assert.equal(made.code, 0, made.stderr)
  const checked = await asOnlyUser('serve', '--config', root, '--test')
  assert.equal(checked.code, 0, checked.stderr)
  assert.doesNotMatch(checked.stderr, /chown/)
  await symlink(folder, join(outer, 'link'))
  const fetched = await asOnlyUser('fetch', 'root', 'file', join(outer, 'link/file'), '--config', root)
  assert.match(fetched.stderr, /nothing listens there/, 'links of the real root are followed')
})
