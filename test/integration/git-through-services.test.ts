import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { orLong } from '../support/long.js'
import { startGitServer } from '../support/network/git-server.js'
import { startClientOf } from '../support/relays/clients.js'
import { startServiceTree } from '../support/relays/service-tree.js'

const run = promisify(execFile)
const LOGIN = 'user:secret'
/** More than any buffer on the way; a pack over 1 GiB with TREELINE_MINUTES. */
const LARGE_MIB = orLong(96, 1_100)

/** A repository two levels below the root, and `git` as a user of the root's listener has it. */
async function startGit(t: TestContext) {
  const { tree, urlOf, untilKnown } = await startServiceTree(t)
  const folder = join(tree.folder, 'git')
  const home = join(folder, 'home')
  await mkdir(home, { recursive: true })
  await run('git', ['init', '-q', '--bare', '-b', 'main', join(folder, 'project.git')])
  await run('git', ['-C', join(folder, 'project.git'), 'config', 'http.receivepack', 'true'])
  await run('git', ['-C', join(folder, 'project.git'), 'config', 'uploadpack.allowFilter', 'true'])
  const server = await startGitServer(t, folder, LOGIN)
  await startClientOf(t, tree, { relay: 'middle', key: 'git', id: 'one', baseUrl: server.url })
  await untilKnown('middle')
  const helper = '!f() { echo username=user; echo password=secret; }; f'
  const git = async (directory: string, ...options: readonly string[]) => {
    const settings = ['credential.helper=', `credential.helper=${helper}`, 'user.name=a', 'user.email=a@b']
    const { stdout } = await run(
      'git',
      [...settings.flatMap(setting => ['-c', setting]), '-C', directory, ...options],
      {
        env: { PATH: process.env.PATH, HOME: home, GIT_TERMINAL_PROMPT: '0' }
      }
    )
    return stdout.trim()
  }
  return { folder, url: `${await urlOf('root')}/project.git`, server, git }
}

test('git clones, fetches and pushes through two levels, with a log-in of its own', async t => {
  const { folder, url, server, git } = await startGit(t)
  await git(folder, 'clone', '-q', url, 'first')
  const first = join(folder, 'first')
  const commit = async (name: string, content: string | Buffer) => {
    await writeFile(join(first, name), content)
    await git(first, 'add', '.')
    await git(first, 'commit', '-q', '-m', name)
  }
  await commit('README', 'hello')
  await git(first, 'push', '-q', 'origin', 'HEAD:main')
  assert.ok(server.requests.length > 0)

  await t.test('a push in chunks, and one with a length', async () => {
    await commit('a', randomFillSync(Buffer.alloc(3_000_000)))
    await git(first, '-c', 'http.postBuffer=65536', 'push', '-q', 'origin', 'HEAD:main')
    await commit('b', randomFillSync(Buffer.alloc(3_000_000)))
    await git(first, '-c', 'http.postBuffer=100000000', 'push', '-q', 'origin', 'HEAD:main')
  })
  await t.test('a second clone gets it all, and fetches what follows', async () => {
    await git(folder, 'clone', '-q', url, 'second')
    const second = join(folder, 'second')
    assert.deepEqual(await readFile(join(second, 'b')), await readFile(join(first, 'b')))
    await commit('c', 'more')
    await git(first, 'push', '-q', 'origin', 'HEAD:main')
    await git(second, 'pull', '-q')
    assert.equal(await git(second, 'rev-parse', 'HEAD'), await git(first, 'rev-parse', 'HEAD'))
  })
  await t.test('many branches: the request of a fetch is zipped', async () => {
    for (let number = 0; number < 60; number += 1) await git(first, 'branch', `branch-${number}`)
    await git(first, 'push', '-q', '--all', 'origin')
    await commit('d', 'even more')
    await git(first, 'push', '-q', 'origin', 'HEAD:main')
    await git(join(folder, 'second'), 'fetch', '-q', 'origin')
  })
  await t.test('shallow and partial clones', async () => {
    await git(folder, 'clone', '-q', '--depth', '1', url, 'shallow')
    assert.equal(await git(join(folder, 'shallow'), 'rev-list', '--count', 'HEAD'), '1')
    await git(folder, 'clone', '-q', '--filter=blob:none', '--no-checkout', url, 'partial')
    await git(join(folder, 'partial'), 'checkout', '-q', 'main')
    assert.equal(await readFile(join(folder, 'partial', 'c'), 'utf8'), 'more')
  })
  await t.test("a wrong password is the service's to refuse", async () => {
    const wrong = url.replace('http://', 'http://user:wrong@')
    await assert.rejects(
      run('git', ['ls-remote', wrong], { env: { PATH: process.env.PATH, HOME: folder, GIT_TERMINAL_PROMPT: '0' } })
    )
  })
})

test('a large pack is pushed and cloned', async t => {
  const { folder, url, git } = await startGit(t)
  await git(folder, 'clone', '-q', url, 'first')
  const first = join(folder, 'first')
  const file = await open(join(first, 'large'), 'w')
  for (let written = 0; written < LARGE_MIB; written += 1) await file.write(randomFillSync(Buffer.alloc(1024 * 1024)))
  await file.close()
  await git(first, '-c', 'core.bigFileThreshold=1m', 'add', '.')
  await git(first, '-c', 'core.bigFileThreshold=1m', 'commit', '-q', '-m', 'large')
  await git(first, '-c', 'pack.compression=0', '-c', 'core.bigFileThreshold=1m', 'push', '-q', 'origin', 'HEAD:main')
  await git(folder, 'clone', '-q', url, 'second')
  await run('cmp', [join(first, 'large'), join(folder, 'second', 'large')])
})
