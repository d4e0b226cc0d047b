import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmod, chown, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { serviceSteps } from '../../src/cli/processes/service-steps.js'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'

test('a unit is copied before its folder belongs to its user, who could change it', () => {
  const service = {
    command: 'serve',
    unit: 'treeline-relay-root.service',
    folder: '/etc/treeline',
    data: '/var/lib/treeline',
    user: 'treeline',
    program: ['/opt/treeline/treeline'],
    text: 'the unit'
  } as const
  const stepsIn = (owner: number, current = 'root') =>
    serviceSteps(service, current, owner)
      .split('\n')
      .slice(1)
      .map(line => line.trim().split(' ')[0])
  assert.deepEqual(stepsIn(0), ['install', 'id', 'chown', 'systemctl'])
  assert.deepEqual(stepsIn(1_000), ['install', 'id', 'chown', 'echo'])
  assert.deepEqual(stepsIn(1_000, 'treeline'), ['install', 'systemctl'], 'that user has chosen its content anyway')
})

testAsRoot('the copy of a unit that its user could have changed is compared with what root wrote', async t => {
  const folder = await temporaryFolder(t)
  await chmod(folder, 0o755)
  const theirs = join(folder, 'theirs')
  await mkdir(theirs)
  await chown(theirs, 65_534, 65_534)
  const { code, stdout, stderr } = await treeline(t, [
    'init',
    '--dir',
    theirs,
    '--host',
    'localhost',
    '--user',
    'nobody'
  ])
  assert.equal(code, 0, stderr)
  const unit = 'treeline-relay-root.service'
  const written = await readFile(join(theirs, unit))
  const hash = createHash('sha256').update(written).digest('hex')
  const line = `echo '${hash}  /etc/systemd/system/${unit}' | sha256sum --check && systemctl enable --now ${unit}\n`
  assert.ok(stdout.includes(line), stdout)
})
