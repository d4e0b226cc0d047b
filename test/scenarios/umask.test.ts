import assert from 'node:assert/strict'
import { lstat, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { treeline } from '../support/machine/treeline-command.js'
import { startJoinedTree, succeed, untilLinked } from '../support/relays/joined-tree.js'

const WRITTEN_BY_OTHERS = 0o002
const FOR_OTHERS = 0o077
const SECRET = /\.key$/

process.umask(0) // of each process that this one starts

test('with a umask of 0, others may write no file or folder of a tree, and read no key', async t => {
  const tree = await startJoinedTree(t)
  const { root, folder } = tree
  const keys = join(folder, 'keys/new')
  const node = await tree.machine('node-1')
  await Promise.all([
    succeed(treeline(t, ['key', 'generate', '--out', keys])),
    succeed(tree.join(node, await tree.token('--node')))
  ])
  tree.agent(node)
  await untilLinked(root, 'node-1')
  const data = join(folder, 'data-to-share')
  await writeFile(data, 'content', { mode: 0o600 })
  await succeed(tree.ask(root, 'share', 'node-1', 'file', data, '--ttl', '1h'))
  await succeed(tree.ask(root, 'run', '--all'))
  const open: string[] = []
  const names = await readdir(folder, { recursive: true })
  for (const name of names) {
    const found = await lstat(join(folder, name))
    if (found.isSymbolicLink()) continue
    const isSecret = SECRET.test(name.slice(name.lastIndexOf('/') + 1))
    const excess = found.mode & (isSecret ? FOR_OTHERS : WRITTEN_BY_OTHERS)
    if (excess !== 0) open.push(`${(found.mode & 0o777).toString(8)} ${name}`)
  }
  assert.deepEqual(open, [])
  for (const part of ['keys/new/treeline-sign.key', 'root/ca.key', 'root/data/runs', 'node-1/tls.key'])
    assert.ok(names.includes(part), `${part}: ${names.join('\n')}`)
})
