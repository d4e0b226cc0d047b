import { dirname, join } from 'node:path'
import { membersOf, parseJson } from '../../values/text/json.js'
import { readIfThere, writeAtomically } from '../setup/edit-files.js'
import type { MemberRepository } from './member-repository.js'

const NAME = 'published.json'
const MODE = 0o640

/**
 * The file, beside the nodes list, that records which state of its members a root handed down last. A copy of
 * `state.db` that is put back does not change it.
 */
export function publishedFile(nodesListFile: string): string {
  return join(dirname(nodesListFile), NAME)
}

/**
 * How often the members had changed when the root handed them down last; 0 where nothing says so.
 * @throws {Error} when the file cannot be read, or has something else in it
 */
export async function readPublished(nodesListFile: string): Promise<number> {
  const file = publishedFile(nodesListFile)
  const text = await readIfThere(file)
  if (text === undefined) return 0
  const changes = changesIn(text)
  if (changes !== undefined) return changes
  throw new Error(`${file} does not say which members were handed down last: remove it, and start again`)
}

function changesIn(text: string): number | undefined {
  const changes = membersOf(parseJson(text))?.changes
  return typeof changes === 'number' && Number.isSafeInteger(changes) && changes >= 0 ? changes : undefined
}

/** Writes the record before the tree is written: nothing newer is ever handed down than this says. */
export async function writePublished(nodesListFile: string, changes: number): Promise<void> {
  await writeAtomically(publishedFile(nodesListFile), `${JSON.stringify({ changes })}\n`, MODE)
}

/** @throws {Error} when the database was put back from a backup, so that no older tree is handed down than before */
export async function checkNotOlder(repository: MemberRepository, nodesListFile: string): Promise<void> {
  const published = await readPublished(nodesListFile)
  const changes = await repository.version()
  if (changes >= published) return
  throw new Error(
    `state.db in storage.path is older than the tree that this root handed down last: its members have changed ${changes} times, and had changed ${published} times then. Was it put back from a backup? Run "treeline nodes restore --config <folder>", which takes the newer members from ${nodesListFile}; or, if the older ones are to be the tree, remove ${publishedFile(nodesListFile)}; then start again`
  )
}
