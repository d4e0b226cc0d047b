import assert from 'node:assert/strict'
import { chmod, chown, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { exposureWarnings, foreignFileWarnings } from '../../src/cli/checks/permissions/exposed-files.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const UNPRIVILEGED = 4_242

test('a key that others may read is warned of, by its setting, with what to do', async t => {
  const path = join(await temporaryFolder(t), 'key')
  await writeFile(path, 'secret')
  const told = async (mode: number, isReadable = false) => {
    await chmod(path, mode)
    return exposureWarnings([{ key: 'key_file', path, isReadable }])
  }
  const mine = `key_file ${path} has mode`
  if (process.getuid?.() === 0) {
    // Root's files are given to a service by its group; to see both rules, one has to be root.
    assert.deepEqual(await told(0o640), [])
    assert.deepEqual(await told(0o644), [`${mine} 0644: every user of this machine may read it; chmod 640 ${path}`])
    await chown(path, UNPRIVILEGED, UNPRIVILEGED)
    const theirs = `key_file ${path} belongs to user ${UNPRIVILEGED}, who may`
    assert.deepEqual(await told(0o600), [`${theirs} read and change it; chown root ${path}`])
    assert.deepEqual(await told(0o600, true), [`${theirs} change it; chown root ${path}`])
    await chown(dirname(path), UNPRIVILEGED, UNPRIVILEGED) // as a service's
    const changed = [`${theirs} change it; chown root ${path}`]
    const listed = [{ key: 'key_file', path, isReadable: true }]
    assert.deepEqual(await exposureWarnings(listed, 0), changed, 'root would run by it')
    assert.deepEqual(await foreignFileWarnings(listed), changed)
    assert.deepEqual(await exposureWarnings(listed, UNPRIVILEGED), [])
    assert.deepEqual(await foreignFileWarnings(listed, UNPRIVILEGED), [])
  }
  assert.deepEqual(await told(0o600), [])
  assert.deepEqual(await told(0o640), [`${mine} 0640: its group may read it; chmod 600 ${path}`])
  assert.deepEqual(await told(0o604), [`${mine} 0604: every user of this machine may read it; chmod 600 ${path}`])
  assert.deepEqual(await told(0o622), [`${mine} 0622: every user of this machine may change it; chmod 600 ${path}`])
  assert.deepEqual(await told(0o644, true), [])
  assert.deepEqual(await told(0o664, true), [`${mine} 0664: its group may change it; chmod go-w ${path}`])
  assert.deepEqual(await exposureWarnings([{ key: 'key_file', path: `${path}.none` }]), [])
})
