import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, chown, lchown, mkdir, symlink, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { refuseForeignSocket } from '../../src/cli/checks/permissions/trusted-socket.js'
import { checkRelayStart } from '../../src/cli/checks/start-files-check.js'
import { parseConfig } from '../../src/config/config-parser.js'
import { copyForOthers } from '../support/machine/other-user.js'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { startTreeline, temporaryFolder, treeline } from '../support/machine/treeline-command.js'

const SERVICE = 65_534
const OTHER = 65_533

async function listen(t: TestContext, path: string, [uid, gid] = [0, 0]): Promise<Server> {
  const server = createServer((_request, response) => response.end('{"result":"success","data":{}}')).listen(path)
  t.after(() => server.close())
  await once(server, 'listening')
  await chown(path, uid, gid)
  return server
}

/** A configuration whose relay runs as the owner of its `storage.path`. */
async function configOf(folder: string, socket: string) {
  const text = `[general]\nnode_id = "root"\nlisten = "127.0.0.1:0"\nsocket = "${socket}"\nnodes_list_file = "nodes.json"\n[storage]\npath = "${folder}/st"\n[shared_files]\npath = "${folder}/sf"\n[shared_folder]\npath = "${folder}/shared"\n[remote_run]\nenabled = false\n`
  await writeFile(join(folder, 'main.conf'), text)
  await writeFile(join(folder, 'nodes.json'), '{"root":{"hostname":"root.example","policy-server":"root"}}')
  return parseConfig(text, '', folder, () => '')
}

/** A configuration of the service's user, and the folder and path of its socket. Nothing listens there yet. */
async function makeServiceFolder(t: TestContext) {
  const folder = await temporaryFolder(t)
  await chmod(folder, 0o755)
  const run = join(folder, 'run')
  const path = join(run, 'relay.sock')
  await Promise.all([mkdir(run), mkdir(join(folder, 'st'))])
  await chown(join(folder, 'st'), SERVICE, SERVICE)
  const config = await configOf(folder, path)
  return { folder, run, path, config }
}

testAsRoot('root uses a socket of its own or of the relay alone, where nobody else could put another', async t => {
  const { folder, run, path, config } = await makeServiceFolder(t)
  const ask = (at = path) => refuseForeignSocket('general.socket', at, config)
  await ask() // whoever connects says that nothing listens
  await listen(t, path, [SERVICE, SERVICE])
  await ask()
  await chown(run, SERVICE, SERVICE)
  await ask()
  await chmod(run, 0o775)
  await ask() // the same group may use the socket
  await chown(run, 0, OTHER)
  await assert.rejects(ask(), /general\.socket \S+ is not used: group 65533 may write in \S+run, who could answer in /)
  await chown(run, OTHER, 0)
  await assert.rejects(ask(), /run belongs to user 65533, who could answer in the place of the relay/)
  await refuseForeignSocket('the socket', path, undefined).then(
    () => assert.fail('of a third user'),
    error => assert.match(String(error), /the socket \S+ is not used: \S+relay\.sock belongs to user 65534/)
  )
  await chown(run, 0, 0)
  await chmod(run, 0o777)
  await assert.rejects(ask(), /everyone may write in \S+run/)
  await chmod(run, 0o1777)
  await ask()
  await chown(path, OTHER, OTHER)
  await assert.rejects(ask(), /relay\.sock belongs to user 65533/)
  await chown(path, SERVICE, SERVICE)
  await symlink(run, join(folder, 'link'))
  await ask(join(folder, 'link/relay.sock'))
  await lchown(join(folder, 'link'), OTHER, OTHER)
  await assert.rejects(ask(join(folder, 'link/relay.sock')), /link belongs to user 65533/)
})

testAsRoot(
  'a command of any user refuses a socket of a third one, and uses those of its own, root and the relay',
  async t => {
    const USER = 65_532
    const { folder, run, path, config } = await makeServiceFolder(t)
    const ask = (configured: typeof config | undefined = config) =>
      refuseForeignSocket('general.socket', path, configured, USER)
    await listen(t, path)
    for (const owner of [0, SERVICE, USER]) {
      for (const each of [run, path]) await chown(each, owner, owner)
      await ask()
    }
    await chmod(run, 0o775)
    await ask() // as by a umask of 002, where a user's group is their own
    await chown(path, OTHER, OTHER)
    await assert.rejects(ask(), /group 65532 may write in \S+run|relay\.sock belongs to user 65533/)
    await chown(run, OTHER, OTHER)
    await assert.rejects(ask(), /run belongs to user 65533, who could answer in the place of the relay/)
    const unseen = { ...config, storage: { ...config.storage, path: join(folder, 'unseen') } }
    await ask(unseen) // as without a configuration, the owner of the folder counts
    const socket = join(folder, 'open/relay.sock')
    await mkdir(join(folder, 'open'))
    await chmod(join(folder, 'open'), 0o777)
    await assert.rejects(refuseForeignSocket('general.socket', socket, config, USER), /everyone may write in \S+open/)
  }
)

testAsRoot('the place of a socket is warned of, and a command of root sends no token to another user', async t => {
  const folder = await temporaryFolder(t)
  const run = join(folder, 'run')
  await mkdir(run)
  await chown(run, OTHER, OTHER)
  const path = join(run, 'relay.sock')
  const config = await configOf(folder, path)
  await writeFile(join(folder, 'token'), 'a-token-of-the-administrator')
  const warning = /general\.socket \S+run belongs to user 65533, who may change what is there; chown 0 /
  assert.match((await checkRelayStart(config)).warnings.join('\n'), warning)
  const relay = startTreeline(t, ['serve', '--config', folder])
  await relay.printed('"ready"')
  assert.match(relay.soFar(), warning)
  relay.child.kill('SIGTERM')
  await relay.ended
  await chmod(run, 0o1777)
  await chown(run, 0, 0)
  assert.match(
    (await checkRelayStart(config)).warnings.join('\n'),
    /run is open to every user .*; choose another folder/
  )
  await mkdir(join(run, 'deep'))
  await chown(run, OTHER, OTHER)
  const deep = await configOf(folder, join(run, 'deep/relay.sock'))
  assert.match(
    (await checkRelayStart(deep)).problems.join('\n'),
    /general\.socket \S+deep: \S+run belongs to user 65533/
  )

  await configOf(folder, path)
  const heard: string[] = []
  const fake = await listen(t, path, [OTHER, OTHER])
  fake.on('request', ({ headers }) => heard.push(String(headers.authorization)))
  const token = ['--token-file', join(folder, 'token')]
  const { code, stderr } = await treeline(t, ['nodes', 'list', '--config', folder, ...token])
  assert.match(stderr, /general\.socket \S+relay\.sock is not used: \S+run belongs to user 65533/)
  assert.equal(code, 2)
  const runCopy = await copyForOthers(t)
  await chmod(folder, 0o755)
  const asOther = ['setpriv', '--reuid=65532', '--clear-groups']
  const others = await runCopy(asOther, ['nodes', 'list', '--config', folder, '--token-file', '/dev/null'])
  assert.match(others.stderr, /general\.socket \S+relay\.sock is not used: \S+run belongs to user 65533/)
  assert.deepEqual(heard, [])
})

testAsRoot('root serves no shared folder whose way another user could exchange', async t => {
  const folder = await temporaryFolder(t)
  const theirs = join(folder, 'theirs')
  await mkdir(join(theirs, 'shared'), { recursive: true })
  await chown(theirs, OTHER, OTHER)
  const config = await configOf(folder, join(folder, 'relay.sock'))
  const below = { ...config, sharedFolder: { ...config.sharedFolder, path: join(theirs, 'shared') } }
  const problem = /shared_folder\.path \S+: \S+theirs belongs to user 65533, who could lead root elsewhere/
  assert.match((await checkRelayStart(below)).problems.join('\n'), problem)
  const itself = { ...config, sharedFolder: { ...config.sharedFolder, path: theirs } }
  assert.deepEqual((await checkRelayStart(itself)).problems, [])
})
