import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { access, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { dataFolders } from '../../src/membership/setup/data-folders.js'
import { systemdUnit, type UnitText, unitName } from '../../src/membership/setup/systemd-unit.js'
import { temporaryFolder } from '../support/parts/neighbours.js'

const MAIN = '/opt/treeline/dist/treeline/main.js'
const RELAY: UnitText = {
  id: 'relay-1',
  command: 'serve',
  program: ['/usr/bin/node', MAIN],
  folder: '/etc/treeline',
  data: dataFolders('/etc/treeline'),
  user: 'treeline'
}
const AGENT: UnitText = {
  ...RELAY,
  id: 'node-1',
  command: 'agent',
  folder: '/etc/treeline-agent',
  data: dataFolders('/etc/treeline-agent'),
  user: 'treeline-agent'
}

/** `Section.Key` to its values. Fails for a line that is none of a unit. */
function directives(text: string): Map<string, string> {
  const found = new Map<string, string>()
  let section = ''
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const heading = /^\[(\w+)\]$/.exec(line)?.[1]
    const [, key, value = ''] = /^(\w+)=(.*)$/.exec(line) ?? []
    assert.ok(heading !== undefined || key !== undefined, line)
    if (heading !== undefined) section = heading
    else {
      assert.ok(!found.has(`${section}.${key}`), `${key} stands there twice`)
      found.set(`${section}.${key}`, value)
    }
  }
  return found
}

test('a unit that is written has all that the shipped one has', async () => {
  const own = [
    'Unit.Description',
    'Service.ExecStart',
    'Service.Group',
    'Service.ReadWritePaths',
    'Service.StateDirectoryMode',
    'Service.Environment',
    'Service.RuntimeDirectory',
    'Service.RuntimeDirectoryMode'
  ]
  for (const [unit, shipped] of [
    [RELAY, 'treeline.service'],
    [AGENT, 'treeline-agent.service']
  ] as const) {
    const written = directives(systemdUnit(unit))
    const expected = directives(await readFile(join(import.meta.dirname, '../../deploy/systemd', shipped), 'utf8'))
    for (const [key, value] of expected) {
      if (!own.includes(key)) assert.equal(written.get(key), value, `${shipped}: ${key}`)
    }
  }
})

test('a service manager waits for ready, and starts again what has ended in whatever way', async () => {
  const folder = join(import.meta.dirname, '../../deploy/systemd')
  for (const shipped of ['treeline.service', 'treeline-agent.service']) {
    const unit = directives(await readFile(join(folder, shipped), 'utf8'))
    for (const [key, value] of [
      ['Type', 'notify'],
      ['NotifyAccess', 'all'],
      ['Restart', 'always']
    ] as const) {
      assert.equal(unit.get(`Service.${key}`), value, `${shipped}: ${key}`)
    }
  }
})

test('its names are its own, and it may write to its folders alone', () => {
  assert.equal(unitName(RELAY), 'treeline-relay-relay-1.service')
  assert.equal(unitName(AGENT), 'treeline-agent-node-1.service')
  const written = directives(systemdUnit(RELAY))
  assert.equal(written.get('Service.ReadWritePaths'), '/etc/treeline /var/lib/treeline')
  assert.equal(written.get('Service.StateDirectory'), 'treeline')
  assert.equal(written.get('Service.RuntimeDirectory'), 'treeline-relay-relay-1')
  assert.equal(written.get('Service.Environment'), 'NODE_ENV=production TREELINE_RUN_DIR=/run/treeline-relay-relay-1')
  assert.equal(directives(systemdUnit({ ...RELAY, user: 'root' })).has('Service.ProtectSystem'), false)
})

test('a folder in a home or in /tmp stays visible, and odd names are quoted', () => {
  const folder = '/root/my %relay$ "x"'
  const written = directives(systemdUnit({ ...RELAY, folder, data: dataFolders(folder) }))
  assert.equal(written.get('Service.ProtectHome'), 'read-only')
  assert.equal(written.get('Service.ReadWritePaths'), '"/root/my %%relay$ \\"x\\""')
  assert.match(written.get('Service.ExecStart') ?? '', /--config "\/root\/my %%relay\$\$ \\"x\\""$/)
  assert.equal(written.has('Service.StateDirectory'), false)
  const inHome = directives(systemdUnit({ ...RELAY, program: ['/root/node/bin/node', MAIN] }))
  assert.equal(inHome.get('Service.ProtectHome'), 'read-only')
  assert.equal(directives(systemdUnit({ ...RELAY, data: dataFolders('/tmp/x') })).get('Service.PrivateTmp'), 'no')
})

test('data is in /var/lib for a configuration in /etc, and with it elsewhere', () => {
  const { storage, setting } = dataFolders('/etc/treeline')
  assert.equal(setting(storage), '/var/lib/treeline/data')
  const beside = dataFolders('/srv/relay')
  assert.deepEqual([beside.path, beside.setting(beside.sharedFiles)], ['/srv/relay', 'shared-files'])
  assert.equal(dataFolders('/srv/relay', '/data/relay').storage, '/data/relay/data')
})

test('systemd takes them, where it is at hand', async t => {
  const analyze = '/usr/bin/systemd-analyze'
  const isThere = await access(analyze).then(
    () => true,
    () => false
  )
  const folder = await temporaryFolder(t)
  const program = [process.execPath, MAIN] // which is there
  const paths = [RELAY, AGENT, { ...AGENT, id: 'node-2', user: 'root' }].map(
    unit => [{ ...unit, program }, join(folder, unitName(unit))] as const
  )
  for (const [unit, path] of paths) await writeFile(path, systemdUnit(unit))
  if (!isThere) return
  const { stderr } = await promisify(execFile)(analyze, ['verify', ...paths.map(([, path]) => path)])
  assert.doesNotMatch(stderr, /treeline-/)
})

test('the drop-in that a unit names for commands that need root is there, and of the same service', async () => {
  for (const [unit, service] of [
    [RELAY, 'treeline'],
    [AGENT, 'treeline-agent']
  ] as const) {
    const [path = ''] = systemdUnit(unit).match(/deploy\/systemd\/\S+\.conf/) ?? []
    assert.equal(path, `deploy/systemd/${service}.service.d/sudo.conf`)
    await access(join(import.meta.dirname, '../..', path))
  }
})
