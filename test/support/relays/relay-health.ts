import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { RelayTree, TreeRelay } from '../../../demo/relay-tree.js'
import { eventually } from '../eventually.js'
import { ask } from '../network/http.js'
import { signContent } from '../work/signed-files.js'

const run = promisify(execFile)
let fileCount = 0

/** Asserts after each attack that the relay takes and shows a file, and keeps no leftovers. */
export async function assertServes(tree: RelayTree, relay: TreeRelay, target: string, source: string): Promise<void> {
  fileCount += 1
  const file = signContent(target, tree.member(source), `health-${fileCount}`, `content ${fileCount}`)
  const put = await ask(relay, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
  assert.deepEqual([put.status, put.text], [200, ''])
  assert.equal((await ask(relay, `${file.path}?hash=${file.hash}`, { method: 'HEAD' })).status, 200)
  await assertNoLeftovers(relay)
}

/** Nothing lies in `.incoming~` any more. */
export async function assertNoLeftovers(relay: TreeRelay): Promise<void> {
  const folder = join(relay.sharedFilesPath, '.incoming~')
  await eventually('an empty .incoming~', async () => (await readdir(folder)).length === 0)
}

/** Resident memory of a process, in bytes. */
export async function residentBytes(pid: number): Promise<number> {
  const { stdout } = await run('ps', ['-o', 'rss=', '-p', String(pid)])
  return Number(stdout.trim()) * 1_024
}
