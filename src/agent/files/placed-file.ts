import type { Stats } from 'node:fs'
import { hashesOf } from '../../file-exchange/download.js'
import { statIfThere } from '../../file-exchange/places/file-place.js'
import type { ReceivedFile } from './file-state.js'

/** The properties that show later whether the file in its place is still the same. */
export type Placed = Pick<ReceivedFile, 'hash' | 'sizeBytes' | 'modifiedAtMs' | 'identity'>

/** @param stats of the file in its place */
export function placedFile(hash: string, { size, mtimeMs, ino, ctimeMs, uid, gid, mode }: Stats): Placed {
  const identity = { inode: ino, statusChangedAtMs: ctimeMs, uid, gid, mode }
  return { hash, sizeBytes: size, modifiedAtMs: mtimeMs, identity }
}

/**
 * Whether a file is as it was put in place. Where nothing but the time of its status says that it was changed (a label, a
 * further name, or a content whose time was set back), its content decides.
 * @param signal ends the reading
 * @returns what it is now, or undefined when it is another one
 */
export async function stillPlaced(
  path: string,
  former: ReceivedFile,
  signal?: AbortSignal
): Promise<Placed | undefined> {
  const stats = await statIfThere(path)
  if (stats?.isFile() !== true || former.identity === undefined) return undefined
  const now = placedFile(former.hash, stats)
  if (withoutStatusTime(now) !== withoutStatusTime(former)) return undefined
  if (now.identity?.statusChangedAtMs === former.identity.statusChangedAtMs) return now
  const hashes = await hashesOf(path, signal)
  return hashes !== undefined && Object.values(hashes).includes(former.hash) ? now : undefined
}

/** Whether a command that was run for the file has left its content alone, as far as size, time and inode tell. */
export function hasSameContent(one: Placed, other: Placed): boolean {
  const [first, second] = [one, other].map(({ sizeBytes, modifiedAtMs, identity }) =>
    JSON.stringify([sizeBytes, modifiedAtMs, identity?.inode])
  )
  return first === second
}

function withoutStatusTime({ sizeBytes, modifiedAtMs, identity }: Placed): string {
  return JSON.stringify([sizeBytes, modifiedAtMs, identity?.inode, identity?.uid, identity?.gid, identity?.mode])
}
