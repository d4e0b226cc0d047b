import { readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ifThere } from '../../file-system/files/if-there.js'
import { UNSETTLED } from '../forwarding/outbox.js'
import { METADATA_SUFFIX, pathOf } from '../keeping/file-layout.js'
import type { StoredFile } from '../keeping/file-record.js'
import type { Keeping } from '../keeping/keeping.js'
import { isAsKept } from '../keeping/kept-files.js'
import { checkHasFolders } from '../keeping/same-folder.js'
import type { LostCounter } from './lost-files.js'
import type { PurgeParts } from './purge-files.js'
import { adopt } from './reconciliation.js'

const MAX_NAMED = 20

export interface RecoveryParts extends PurgeParts, Pick<Keeping, 'placement'> {
  readonly lost: LostCounter
}

/**
 * Recovers after a crash: files whose row says that they are being put in place are put there. Other files in
 * `.incoming~` were never acknowledged, since a file leaves it before its sender is answered, and are removed; but
 * where there is no row at all, the database may have been lost, and with it the rows of whole files there. These
 * files, and others in `.outbox~` without a row, are moved to `lost~`, and never deleted. The quota is counted as well.
 * @throws {Error} when the folder seems to be another one, as where its disk is not mounted
 */
export async function recoverSharedFiles(parts: RecoveryParts): Promise<void> {
  const { layout, folders, files, outboxRepository, logger } = parts
  const recorded = (await files.totals()).count + (await outboxRepository.totals()).count
  await checkHasFolders(layout, { files, outbox: outboxRepository })
  // Not through a link that somebody has put there: what is left over in these folders is removed.
  await folders.make(layout.incoming)
  await folders.make(layout.outbox)
  parts.quota.add((await files.totals()).bytes + (await outboxRepository.totals()).bytes)
  const placing = await files.unsettled()
  const left = new Set(await folders.enter(layout.incoming, at => readdir(at)))
  for (const row of placing) await finishPlacing(parts, row, left)
  const { whole, torn } = await folders.enter(layout.incoming, async at => {
    const sorted = await sortIncoming(at, recorded === 0)
    for (const name of sorted.torn) await rm(join(at, name), { recursive: true, force: true })
    return sorted
  })
  const waiting = new Set(await outboxRepository.ids())
  await folders.enter(layout.outbox, at => settleOutbox(at, waiting, recorded > 0))
  const unknown = (await folders.enter(layout.outbox, at => readdir(at))).filter(name => !waiting.has(name))
  await keepLost(parts, layout.incoming, whole)
  await keepLost(parts, layout.outbox, unknown)
  if (placing.length + torn.length > 0) {
    logger.info({ finished: placing.length, removed: torn.length }, 'recovered shared files')
  }
  const moved = [...whole, ...unknown]
  if (moved.length > 0) {
    const details = { folder: layout.lost, files: moved.length, names: moved.slice(0, MAX_NAMED) }
    logger.warn(details, 'files without a record moved to lost~: was state.db lost or replaced?')
  }
  await parts.lost.count()
  if (parts.lost.found.files > 0) {
    logger.warn(parts.lost.found, 'files without a record take room in lost~: look at them and remove them')
  }
}

/** Gives waiting files their names that a crash kept from it, and removes those without a record, see {@link UNSETTLED}. */
async function settleOutbox(outbox: string, waiting: ReadonlySet<string>, hasRecords: boolean): Promise<void> {
  for (const name of await readdir(outbox)) {
    if (!name.endsWith(UNSETTLED)) continue
    const id = name.slice(0, -UNSETTLED.length)
    if (waiting.has(id)) await rename(join(outbox, name), join(outbox, id))
    else if (hasRecords) await rm(join(outbox, name), { recursive: true, force: true })
  }
}

/**
 * Puts a file in place whose row says that this was being done. Where nothing of it is left in `.incoming~`, both names
 * were changed before the crash; or the row is that of a backup, and a newer version may be there by now, which stays.
 * @param left the names in `.incoming~`
 */
async function finishPlacing(parts: RecoveryParts, row: StoredFile, left: ReadonlySet<string>): Promise<void> {
  const { layout, files, placement } = parts
  const spool = row.spool ?? ''
  if (left.has(spool) || left.has(spool + METADATA_SUFFIX)) return placement.redo(row)
  const found = await ifThere(stat(pathOf(layout, row)))
  const outcome = found === undefined ? 'damaged' : await adopt(parts, row, row)
  if (outcome === 'fine') return placement.settle(row)
  // The metadata is gone, or a power failure tore it, since it is never synced.
  if (outcome === 'stray' && isAsKept(found, row)) return placement.redo(row)
  if (outcome !== 'replaced') await files.markDurable([spool]) // reconciliation then judges the file that is there
}

/** A file's metadata is written beside it just before its row: what has none was not to be acknowledged yet. */
async function sortIncoming(incoming: string, mayBeLost: boolean): Promise<{ whole: string[]; torn: string[] }> {
  const left = await readdir(incoming)
  const names = new Set(left)
  const hasOther = (name: string) =>
    name.endsWith(METADATA_SUFFIX)
      ? names.has(name.slice(0, -METADATA_SUFFIX.length))
      : names.has(name + METADATA_SUFFIX)
  const isWhole = (name: string) => mayBeLost && hasOther(name)
  return { whole: left.filter(isWhole), torn: left.filter(name => !isWhole(name)) }
}

/** Moves lost files to `lost~` under the names that they had; a file that is there from before stays. */
async function keepLost({ layout, folders }: RecoveryParts, folder: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  await folders.make(layout.lost, 0o750)
  await folders.enter(layout.lost, async lost => {
    const taken = new Set(await readdir(lost))
    for (const name of names) {
      let to = name
      for (let number = 2; taken.has(to); number += 1) to = `${name}~${number}`
      taken.add(to)
      await folders.enter(folder, at => rename(join(at, name), join(lost, to)))
    }
  })
}
