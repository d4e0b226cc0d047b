import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { startGitServer } from '../support/network/git-server.js'
import { startServiceTree } from '../support/relays/service-tree.js'

const run = promisify(execFile)

test('git clones and pushes large files through a service of a relay, which alone has the password', async t => {
  const { tree, urlOf, untilKnown } = await startServiceTree(t)
  const folder = join(tree.folder, 'git')
  const home = join(folder, 'home')
  await mkdir(home, { recursive: true })
  await run('git', ['init', '-q', '--bare', '-b', 'main', join(folder, 'project.git')])
  await run('git', ['-C', join(folder, 'project.git'), 'config', 'http.receivepack', 'true'])
  const server = await startGitServer(t, folder, 'user:secret-of-the-edge')
  const { directory } = tree.relay('middle')
  await writeFile(join(directory, 'login'), 'user:secret-of-the-edge\n', { mode: 0o600 })
  const service = `\n[[service]]\nkey = "git"\nurl = "${server.url}"\ncredentials = { type = "basic", file = "login" }\n`
  await appendFile(join(directory, 'main.conf'), service)
  process.kill(tree.processes.get('middle')?.pid ?? 0, 'SIGHUP')
  await untilKnown('middle')
  const git = (place: string, ...options: readonly string[]) =>
    run('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', '-c', 'credential.helper=', '-C', place, ...options], {
      env: { PATH: process.env.PATH, HOME: home, GIT_TERMINAL_PROMPT: '0' }
    })
  for (const id of ['root', 'middle']) {
    const url = `${await urlOf(id)}/project.git`
    const name = `clone-${id}`
    await git(folder, 'clone', '-q', url, name)
    await writeFile(join(folder, name, id), randomFillSync(Buffer.alloc(5_000_000)))
    await git(join(folder, name), 'add', '.')
    await git(join(folder, name), 'commit', '-q', '-m', id)
    await git(join(folder, name), '-c', 'http.postBuffer=65536', 'push', '-q', 'origin', 'HEAD:main')
  }
  assert.deepEqual(
    await readFile(join(folder, 'clone-middle', 'root')),
    await readFile(join(folder, 'clone-root', 'root'))
  )
  const logs = [...tree.processes.values()].flatMap(({ log }) => log).join('\n')
  assert.ok(!/secret-of-the-edge|c2VjcmV0LW9mLXRoZS1lZGdl/.test(logs))
})
