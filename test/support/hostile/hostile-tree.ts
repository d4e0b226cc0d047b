import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import { eventually } from '../eventually.js'
import { ask, postForm } from '../network/http.js'
import { residentBytes } from '../relays/relay-health.js'
import { type RunningTree, startTree } from '../relays/relay-tree.js'
import { signContent } from '../work/signed-files.js'

export const MIB = 1024 * 1024
/** Coarse: each attack offers several times as much. */
const MEMORY_BYTES = 100 * MIB
/** `evil` is never started: the test speaks in its name. */
const RELAYS = [
  { id: 'root', under: 'root', nodes: ['r1'] },
  { id: 'good', under: 'root', nodes: ['g1'], byLink: true },
  { id: 'evil', under: 'root', nodes: ['e1'], byLink: true }
]

let count = 0

/**
 * @param responseTimeout how long a request of the root may hang
 * @param links lines of `[links]`
 */
export function hostileTree(t: TestContext, responseTimeout = '1s', links: string[] = []): Promise<RunningTree> {
  const general = ['connect_timeout = "1s"', `response_timeout = "${responseTimeout}"`]
  return startTree(t, { relays: RELAYS, absent: ['evil'], settings: { general, links } })
}

export function fileFor(tree: RunningTree, target: string, size: number) {
  count += 1
  return signContent(target, tree.member('r1'), `file-${count}`, randomBytes(size))
}

/** @returns the status of a PUT at the root */
export async function put(tree: RunningTree, target: string, size: number): Promise<number> {
  const file = fileFor(tree, target, size)
  return (await ask(tree.relay('root'), `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })).status
}

/** A file and a run still go to those behind the other link. */
export async function assertOthersServed(tree: RunningTree): Promise<void> {
  await eventually('the link of good', async () => (await put(tree, 'g1', 10)) === 200)
  assert.equal(await put(tree, 'g1', 200_000), 200)
  const answer = await postForm(tree.relay('root'), '/rudder/relay-api/remote-run/nodes/g1', { keep_output: 'true' })
  assert.match(answer.text, /agent of g1/)
}

export function logOfRoot(tree: RunningTree, from: number): string {
  return (tree.processes.get('root')?.log ?? []).slice(from).join('\n')
}

export function rootPid(tree: RunningTree): number {
  return tree.processes.get('root')?.pid ?? 0
}

/** @returns a check that the root did not take much more memory since; it gives the MiB */
export async function watchMemory(tree: RunningTree): Promise<() => Promise<number>> {
  const before = await residentBytes(rootPid(tree))
  return async () => {
    const grown = (await residentBytes(rootPid(tree))) - before
    assert.ok(grown < MEMORY_BYTES, `${Math.round(grown / MIB)} MiB more`)
    return Math.round(grown / MIB)
  }
}
