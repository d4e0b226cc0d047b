import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { peakDuring, residentMib } from '../../bench/support/memory.js'
import { orLong } from '../support/long.js'
import { startGitServer } from '../support/network/git-server.js'
import { startClientOf } from '../support/relays/clients.js'
import { startServiceTree } from '../support/relays/service-tree.js'

const run = promisify(execFile)
const LOGIN = 'user:secret'
const MIB = 1024 * 1024
/** More than any buffer on the way; a pack over 1 GiB with TREELINE_MINUTES. */
const LARGE_MIB = orLong(160, 1_100)
/** Of a relay or client above idle. Coarse: each takes some 20 MiB. */
const MEMORY_MIB = 80

/** A repository two levels below the root, and `git` as a user of the root's listener has it. */
async function startGit(t: TestContext) {
  const { tree, urlOf, untilKnown } = await startServiceTree(t)
  const folder = join(tree.folder, 'git')
  const home = join(folder, 'home')
  await mkdir(home, { recursive: true })
  await run('git', ['init', '-q', '--bare', '-b', 'main', join(folder, 'project.git')])
  await run('git', ['-C', join(folder, 'project.git'), 'config', 'http.receivepack', 'true'])
  await run('git', ['-C', join(folder, 'project.git'), 'config', 'uploadpack.allowFilter', 'true'])
  await run('git', ['-C', join(folder, 'project.git'), 'config', 'core.bigFileThreshold', '1m'])
  const server = await startGitServer(t, folder, LOGIN)
  const client = await startClientOf(t, tree, { relay: 'middle', key: 'git', id: 'one', baseUrl: server.url })
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
  const pids = [tree.processes.get('root')?.pid ?? 0, tree.processes.get('middle')?.pid ?? 0, client.child.pid ?? 0]
  return { folder, url: `${await urlOf('root')}/project.git`, server, git, pids }
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

/** Makes a repository whose only commit has a file that cannot be compressed, without a copy of it outside of the pack. */
async function makeLargeRepository(folder: string): Promise<void> {
  await run('git', ['init', '-q', '--bare', '-b', 'main', folder])
  const importing = spawn('git', ['-C', folder, '-c', 'core.compression=0', 'fast-import', '--quiet'], {
    stdio: ['pipe', 'inherit', 'inherit']
  })
  const ended = once(importing, 'close')
  await pipeline(largeCommit(), importing.stdin)
  assert.deepEqual(await ended, [0, null])
}

/** The commit, as `git fast-import` reads it. */
async function* largeCommit(): AsyncGenerator<Buffer> {
  yield Buffer.from('commit refs/heads/main\ncommitter a <a@b> 1700000000 +0000\ndata 5\nlarge\n')
  yield Buffer.from(`M 100644 inline large\ndata ${LARGE_MIB * MIB}\n`)
  for (let made = 0; made < LARGE_MIB; made += 1) yield randomFillSync(Buffer.alloc(MIB))
  yield Buffer.from('\n')
}

test('a large pack is pushed and fetched, and no process on the way holds it', async t => {
  const { folder, url, git, pids } = await startGit(t)
  const [from, to] = [join(folder, 'from.git'), join(folder, 'to.git')]
  await makeLargeRepository(from)
  await git(folder, 'ls-remote', url) // what is loaded with the first request is no part of it
  const idle = pids.map(residentMib)
  const { peaksMib } = await peakDuring(pids, async () => {
    await git(from, '-c', 'core.bigFileThreshold=1m', 'push', '-q', url, 'main')
    await git(folder, 'clone', '-q', '--bare', url, to)
  })
  const grown = peaksMib.map((peak, index) => Math.round(peak - (idle[index] ?? 0)))
  t.diagnostic(`root, middle and client took ${grown.join(', ')} MiB above idle`)
  assert.equal(await git(to, 'rev-parse', 'main'), await git(from, 'rev-parse', 'main'))
  assert.equal(await git(to, 'cat-file', '-s', 'main:large'), String(LARGE_MIB * MIB))
  assert.ok(Math.max(...grown) < MEMORY_MIB, `${grown.join(', ')} MiB above idle`)
})
