import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadAgentConfig } from '../../src/config/agent/agent-loader.js'
import { ConfigError } from '../../src/config/config.js'
import { loadConfig } from '../../src/config/config-loader.js'

function makeDirectory(t: TestContext, files: Readonly<Record<string, string | Buffer>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'treeline-config-'))
  t.after(() => rmSync(directory, { recursive: true }))
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content)
  return directory
}

/** As an existing relay has it: most of it left at its default, all of it allowed to be there. */
const EXISTING_MAIN = `
# Relay below the root
[general]
nodes_list_file = "/var/rudder/lib/relay/nodeslist.json"
nodes_certs_file = "/var/rudder/lib/ssl/nodescerts.pem"
node_id_file = "uuid.hive"
listen = "127.0.0.1:3030"
core_threads = 4
blocking_threads = 512
https_port = 443
https_idle_timeout = "2s"
peer_authentication = "cert_pinning"

[processing.inventory]
directory = "/var/rudder/inventories"
output = "upstream"

[processing.inventory.catchup]
frequency = "10s"
limit = 50

[processing.inventory.cleanup]
frequency = "10min"
retention = "1day"

[processing.reporting]
output = "upstream"
skip_event_types = ["log_info"]

[output.database]
url = "postgres://rudder@127.0.0.1/rudder"
password = "not used"
max_pool_size = 10

[output.upstream]
host = "rudder.example.com"
server_certificate_file = "/var/rudder/lib/ssl/policy_server.pem"
user = "rudder"
password = "upload-secret"
default_password = "rudder"
verify_certificates = true

[remote_run]
enabled = true
command = "/opt/rudder/bin/rudder"
use_sudo = true

[shared_files]
path = "/var/rudder/shared-files/"

[shared_files.cleanup]
frequency = "10min"

[shared_folder]
path = "/var/rudder/configuration-repository/shared-files/"
`

test("an existing relay's directory works as it is, and what is not ours is named", t => {
  const directory = makeDirectory(t, {
    'main.conf': EXISTING_MAIN,
    'logging.conf': '[general]\nlevel = "info"\nfilter = ""\n',
    'uuid.hive': 'b73ea451-c42a-420d-a540-47b445e58313\n'
  })
  const config = loadConfig(directory)
  assert.equal(config.general.nodeId, 'b73ea451-c42a-420d-a540-47b445e58313')
  assert.deepEqual(config.upstream, {
    host: 'rudder.example.com',
    nodeId: undefined,
    port: 443,
    serverCertificateFile: '/var/rudder/lib/ssl/policy_server.pem',
    user: 'rudder',
    password: 'upload-secret'
  })
  assert.equal(config.remoteRun.concurrency, 64)
  assert.equal(config.notices.filter(notice => notice.level === 'error').length, 2)
  const warnings = config.notices.filter(notice => notice.level === 'warning')
  assert.equal(warnings.length, 5)
  assert.ok(warnings.every(warning => warning.text.includes('a setting of rudder-relayd that Treeline does not use')))
  assert.ok(!JSON.stringify(config.notices).includes('secret'))
})

test('without main.conf the message says where it was looked for', t => {
  const directory = makeDirectory(t, {})
  assert.throws(() => loadConfig(directory), {
    name: 'ConfigError',
    message: `main.conf: there is no file ${join(directory, 'main.conf')}; name the folder that has it with --config`
  })
  const nowhere = relative(process.cwd(), join(directory, 'nowhere'))
  assert.throws(() => loadConfig(nowhere), {
    name: 'ConfigError',
    message: `main.conf: there is no folder ${join(directory, 'nowhere')} to read it from; name the folder that has it with --config`
  })
})

test('a folder of the other program is named as such', t => {
  const ofAgent = makeDirectory(t, { 'agent.conf': '' })
  assert.throws(
    () => loadConfig(ofAgent),
    /main\.conf; agent\.conf is there, .* the folder of an agent: treeline agent$/
  )
  const ofRelay = makeDirectory(t, { 'main.conf': '' })
  assert.throws(() => loadAgentConfig(ofRelay), /agent\.conf; main\.conf is there, .* of a relay: treeline serve$/)
})

test('logging.conf may be absent', t => {
  const config = loadConfig(makeDirectory(t, { 'main.conf': '[general]\nnode_id = "root"' }))
  assert.equal(config.logging.level, 'info')
  assert.match(config.notices[0]?.text ?? '', /^logging\.conf: there is none/)
})

test('files that are none, too large, or no text are problems', t => {
  const directory = makeDirectory(t, { 'main.conf': Buffer.alloc(1024 * 1024 + 1, 0x20) })
  mkdirSync(join(directory, 'logging.conf'))
  assert.throws(
    () => loadConfig(directory),
    (error: unknown) => {
      assert.ok(error instanceof ConfigError)
      assert.match(error.problems[0] ?? '', /^main\.conf: cannot be read: .* has more than 1048576 bytes/)
      assert.match(error.problems[1] ?? '', /^logging\.conf: cannot be read: .* is not a file/)
      return true
    }
  )
  const binary = makeDirectory(t, { 'main.conf': Buffer.from([0x61, 0xff, 0xfe, 0x00]) })
  assert.throws(() => loadConfig(binary), /main\.conf: cannot be read: .* is not UTF-8 text/)
})

test('a byte order mark does no harm', t => {
  const directory = makeDirectory(t, { 'main.conf': '\ufeff[general]\nnode_id = "root"', 'logging.conf': '' })
  assert.equal(loadConfig(directory).general.nodeId, 'root')
})

test('CAs are one file, with something in it, where they are used', t => {
  const load = (mode: string) =>
    loadConfig(
      makeDirectory(t, {
        'main.conf': `[general]\nnode_id = "root"\npeer_authentication = "${mode}"\nca_path = "${caPath}"`,
        'empty.pem': '',
        'ca.pem': 'x'
      })
    )
  let caPath = '.'
  assert.throws(() => load('cert_validation'), /general\.ca_path: \S+ is no file; join the CAs of a folder/)
  assert.ok(load('cert_pinning').general.caPath, 'nothing reads it')
  caPath = 'empty.pem'
  assert.throws(() => load('cert_validation'), /general\.ca_path: \S+ is empty/)
  caPath = 'a'.repeat(300) // the system does not even look for it
  assert.throws(() => load('cert_validation'), {
    name: 'ConfigError',
    message: /general\.ca_path: \S+ cannot be read: /
  })
  caPath = 'ca.pem'
  assert.match(load('cert_validation').general.caPath ?? '', /ca\.pem$/)
})
