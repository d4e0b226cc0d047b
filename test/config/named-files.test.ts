import assert from 'node:assert/strict'
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { freePorts } from '../../demo/free-ports.js'
import { loadAgentConfig } from '../../src/config/agent/agent-loader.js'
import { loadConfig } from '../../src/config/config-loader.js'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { startTreeline, temporaryFolder, treeline } from '../support/machine/treeline-command.js'

const SOMEBODY = 65_534
const THEIR_GROUP = 65_533

/** A folder of another user with configurations that name a file which root alone may read. */
async function makeTheirs(t: TestContext) {
  const folder = await temporaryFolder(t)
  await chmod(folder, 0o755)
  const secret = join(folder, 'secret')
  await writeFile(secret, 'of root\n', { mode: 0o600 })
  const theirs = join(folder, 'theirs')
  await mkdir(theirs)
  const agentConf = join(theirs, 'agent.conf')
  await writeFile(
    agentConf,
    `node_id = "node"\nkey_file = "${secret}"\ncertificate_file = "certificate.pem"\nsigning_key_file = "${secret}2"\n[upstream]\nhost = "root.example"\n`
  )
  await writeFile(join(theirs, 'certificate.pem'), '')
  for (const each of [theirs, agentConf, join(theirs, 'certificate.pem')]) await chown(each, SOMEBODY, SOMEBODY)
  return { folder, secret, theirs, agentConf }
}

testAsRoot('root uses no file that whoever else may write the configuration may not read', async t => {
  const { secret, theirs, agentConf } = await makeTheirs(t)
  const refusal = (who: string) =>
    new RegExp(`^ConfigError: agent\\.conf: key_file: ${who} may change this configuration .*may not read ${secret}`)
  assert.throws(() => loadAgentConfig(theirs), refusal('user 65534'))
  await chmod(secret, 0o640)
  assert.throws(() => loadAgentConfig(theirs), refusal('user 65534'), "for root's group alone")
  await chown(secret, 0, SOMEBODY)
  assert.equal(loadAgentConfig(theirs).keyFile, secret, 'their group may read it')

  await chown(secret, 0, 0)
  await chown(agentConf, 0, 0)
  assert.throws(() => loadAgentConfig(theirs), refusal('user 65534'), 'they may replace the file')
  await chown(theirs, 0, SOMEBODY)
  assert.equal(loadAgentConfig(theirs).keyFile, secret, 'root alone may write')
  await chmod(theirs, 0o775)
  assert.throws(() => loadAgentConfig(theirs), refusal('group 65534'))
  await chmod(theirs, 0o777)
  await chown(theirs, 0, 0)
  await chmod(secret, 0o600)
  assert.throws(() => loadAgentConfig(theirs), refusal('everyone'), 'rather than its group')
  await chmod(theirs, 0o1777)
  assert.equal(loadAgentConfig(theirs).keyFile, secret, 'as in /tmp, they may not replace it')
  await chmod(agentConf, 0o666)
  await chmod(secret, 0o640)
  assert.throws(() => loadAgentConfig(theirs), refusal('everyone'))
})

testAsRoot("a relay's configuration leads root neither to a file nor below a folder of root's", async t => {
  const { folder, secret, theirs } = await makeTheirs(t)
  const mainConf = join(theirs, 'main.conf')
  const write = (general: string, rest = '') =>
    writeFile(mainConf, `[general]\nlisten = "127.0.0.1:0"\n${general}\n${rest}`)
  await write(`node_id_file = "${secret}"`)
  assert.throws(() => loadConfig(theirs), /general\.node_id_file: .*may not read/s)
  await write('node_id = "root"', `[tokens]\nadmin_file = "${secret}"`)
  assert.throws(() => loadConfig(theirs), /^ConfigError: main\.conf: tokens\.admin_file: user 65534 /)
  const ours = join(folder, 'ours')
  await mkdir(ours, { mode: 0o700 })
  await writeFile(join(ours, 'open'), 'readable, in a closed folder', { mode: 0o644 })
  for (const path of [ours, join(ours, 'open')]) {
    await write('node_id = "root"', `[shared_folder]\npath = "${path}"`)
    assert.throws(() => loadConfig(theirs), /^ConfigError: main\.conf: shared_folder\.path: user 65534 /)
  }
  await chmod(ours, 0o711)
  assert.equal(loadConfig(theirs).sharedFolder.path, join(ours, 'open'))
})

testAsRoot('a command of root says which setting of whose configuration it does not follow', async t => {
  const { secret, theirs } = await makeTheirs(t)
  const args = ['share', 'root', 'file', secret, '--ttl', '1h', '--config', theirs]
  const { code, stderr } = await treeline(t, args)
  assert.match(stderr, /--config \S+theirs: agent\.conf: key_file: user 65534 may change this configuration/)
  assert.equal(code, 2)
})

testAsRoot('a command of root that asks the relay does so, whoever may read the files of the relay', async t => {
  const { secret, theirs } = await makeTheirs(t)
  const [port = 0] = await freePorts(1)
  const conf = join(theirs, 'main.conf')
  await writeFile(conf, `[general]\nnode_id = "root"\nlisten = "127.0.0.1:${port}"\nnodes_list_file = "${secret}"\n`)
  await chown(conf, SOMEBODY, SOMEBODY)
  assert.throws(() => loadConfig(theirs), /nodes_list_file: user 65534 .*not by a group of a unit, nor by an access/)
  const asked = await treeline(t, ['outbox', 'list', '--config', theirs])
  assert.match(asked.stderr, /nothing listens there/)
  const restored = await treeline(t, ['nodes', 'restore', '--config', theirs])
  assert.match(restored.stderr, /nodes_list_file: user 65534/)
})

/** A program in the place of the system's `id`, which knows groups only once the relay at the port in `file` has answered it. */
function idThatAsks(file: string): string {
  return `#!/bin/bash
if [ -e '${file}' ]; then
  exec 3<>"/dev/tcp/127.0.0.1/$(cat '${file}')"
  printf 'GET /rudder/relay-api/v1/system/alive HTTP/1.0\\r\\n\\r\\n' >&3
  read -r line <&3 || exit 1
fi
echo ${SOMEBODY} ${THEIR_GROUP}
`
}

testAsRoot('a reload and the status go on serving others while the system names the groups of a user', async t => {
  const { folder, secret, theirs } = await makeTheirs(t)
  const [port = 0] = await freePorts(1)
  await chown(secret, 0, THEIR_GROUP)
  await chmod(secret, 0o640)
  await writeFile(secret, 'a-token-of-the-administrator')
  await writeFile(
    join(theirs, 'main.conf'),
    `[general]\nnode_id = "root"\nlisten = "127.0.0.1:${port}"\nnodes_list_file = "nodes.json"\n[storage]\npath = "${folder}/st"\n[shared_files]\npath = "${folder}/sf"\n[shared_folder]\npath = "${theirs}"\n[remote_run]\nenabled = false\n[tokens]\nadmin_file = "${secret}"\n`
  )
  await writeFile(join(theirs, 'nodes.json'), '{"root":{"hostname":"root.example","policy-server":"root"}}')
  const [bin, asked] = [join(folder, 'bin'), join(folder, 'port')]
  await mkdir(bin)
  await writeFile(join(bin, 'id'), idThatAsks(asked), { mode: 0o755 })
  const relay = startTreeline(t, ['serve', '--config', theirs], { PATH: `${bin}:${process.env.PATH}` })
  await relay.printed('"ready"')
  await writeFile(asked, String(port))
  const api = `http://127.0.0.1:${port}/rudder/relay-api/1`
  const status = await (await fetch(`${api}/system/status`)).text()
  assert.equal(JSON.parse(status).data.configuration.status, 'success', status)
  const reloaded = await fetch(`${api}/system/reload`, { method: 'POST' })
  assert.equal(reloaded.status, 200, await reloaded.text())
})
