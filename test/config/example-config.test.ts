import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '../../src/config/config-loader.js'
import { parseConfig } from '../../src/config/config-parser.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

function read(name: string): string {
  return readFileSync(new URL(`../../deploy/example/${name}`, import.meta.url), 'utf8')
}

/** The file with all settings that it has as comments switched on. */
function uncommented(text: string): string {
  return text.replace(/^# (?=\[[a-z_.]+\]$|"?[a-z0-9_-]+"? = )/gm, '')
}

test('the example is a good configuration, of which there is nothing to say', () => {
  const config = parseConfig(read('main.conf'), read('logging.conf'), '/etc/treeline', () => '')
  assert.deepEqual(config.notices, [])
  assert.equal(config.general.nodeId, 'relay-1')
})

test('what it has as comments can be switched on', () => {
  const text = uncommented(read('main.conf'))
  assert.ok(text.split('\n').filter(line => line.startsWith('#')).length < 20)
  const config = parseConfig(text, uncommented(read('logging.conf')), '/etc/treeline', () => '')
  assert.deepEqual(config.notices, [])
  assert.equal(config.general.httpsListen?.port, 443)
  assert.equal(config.neighbours.addresses.size, 1)
})

test('the addition to the unit of rudder-relayd starts it with its own configuration, but for the port', async t => {
  const file = new URL('../../deploy/systemd/rudder-relayd.service.d/beside-treeline.conf', import.meta.url)
  const unit = readFileSync(file, 'utf8')
  const folder = await temporaryFolder(t)
  const [original, copy] = [join(folder, 'relayd'), join(folder, 'copy')]
  await Promise.all([original, copy].map(path => mkdir(path)))
  await writeFile(
    join(original, 'main.conf'),
    '[general]\nnode_id = "root"\nhttps_port = 4443\nlisten = "127.0.0.1:3030"\n'
  )
  await writeFile(join(original, 'logging.conf'), '[general]\nlevel = "debug"\n')
  for (const [, command = ''] of unit.matchAll(/^ExecStartPre=(.*)$/gm)) {
    const here = command.replaceAll('/opt/rudder/etc/relayd', original).replaceAll('/run/rudder-relayd-beside', copy)
    execFileSync('/bin/sh', ['-c', here])
  }
  const { general, logging } = loadConfig(copy)
  assert.deepEqual([general.listen.port, general.httpsPort, logging.level], [3035, 4443, 'debug'])
  assert.match(unit, /^RuntimeDirectory=rudder-relayd-beside$/m)
  assert.match(unit, /^ExecStart=\nExecStart=\S+ --config \/run\/rudder-relayd-beside$/m)
  assert.match(unit, /^ExecReload=\nExecReload=.*127\.0\.0\.1:3035\//m)
})

test('httpd sends nothing to the port that rudder-relayd gets beside Treeline', () => {
  const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
  const dropIn = read('deploy/systemd/rudder-relayd.service.d/beside-treeline.conf')
  const portOfRelayd = /127\.0\.0\.1:(\d+)\//.exec(dropIn)?.[1]
  for (const [file, ports] of [
    ['docs/beside-rudder.md', ['3030']],
    ['deploy/httpd/treeline.conf', ['3031', '3031']]
  ] as const) {
    const found = [...read(file).matchAll(/^ProxyPass .*127\.0\.0\.1:(\d+)\//gm)].map(([, port]) => port)
    assert.deepEqual(found, ports, file)
    assert.ok(!found.includes(portOfRelayd), file)
  }
})
