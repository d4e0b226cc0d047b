import { stat } from 'node:fs/promises'
import { setImmediate as breathe } from 'node:timers/promises'
import { ifThere } from '../../file-system/files/if-there.js'
import type { FileKey } from '../../values/ids.js'
import { type FileLayout, keyName, pathOf } from '../keeping/file-layout.js'
import type { StoredFile } from '../keeping/file-record.js'
import { isAsKept } from '../keeping/kept-files.js'
import { correctStoredTimes } from './clock-set-back.js'
import { type PurgeParts, removeIf } from './purge-files.js'
import { recheckFile } from './reconciliation.js'

/** Rows of one step: what SQLite does for so many takes about a millisecond. */
const STEP = 64
const BEFORE_ALL: FileKey = { target: '', source: '', fileId: '' }

interface RowsToLookAt {
  readonly after?: FileKey
  readonly maxRows?: number
  readonly isCompared?: boolean
}

/**
 * Drops rows whose file has gone, removed by someone else, or is not what it was.
 * @throws {RelayError} STORAGE_UNUSABLE when `shared_files.path` itself is gone
 * @param maxRows how many are looked at, about
 * @param isCompared whether the rows say what the files are: then those that a clock that was ahead stored are dated again
 * @returns the key after which to go on; undefined when all were looked at, or `signal` aborted
 */
export async function dropRowsWithoutFile(
  parts: PurgeParts,
  signal: AbortSignal,
  { after = BEFORE_ALL, maxRows = Number.POSITIVE_INFINITY, isCompared = false }: RowsToLookAt = {}
): Promise<FileKey | undefined> {
  const { layout, files } = parts
  let removed = 0
  let looked = 0
  let last: FileKey | undefined = after
  while (last !== undefined && looked < maxRows && !signal.aborted) {
    const rows = await files.page(last, STEP)
    looked += rows.length
    last = rows.at(-1)
    const durable = rows.filter(row => row.spool === undefined)
    const { there, gone, other } = await sort(layout, durable)
    if (gone.length > 0) parts.folders.check() // all seem to have gone while their disk is not mounted
    // A file may have come since: only the very version that was looked at is dropped.
    const seen = new Map(gone.map(row => [keyName(row), row.storedAtMs]))
    if (gone.length > 0) removed += await removeIf(parts, gone, row => seen.get(keyName(row)) === row.storedAtMs)
    for (const row of other) await recheckFile(parts, row)
    if (isCompared) await correctStoredTimes(parts, there)
    await breathe()
  }
  if (removed > 0)
    parts.logger.warn({ rows: removed }, 'shared files were removed by another program; their records are removed')
  return signal.aborted ? undefined : last
}

/**
 * Sorts rows by whether their files are there. Files that cannot be looked at now, as their disk has a fault, count
 * as there.
 */
async function sort(layout: FileLayout, rows: readonly StoredFile[]) {
  const sorted: Record<'there' | 'gone' | 'other', StoredFile[]> = { there: [], gone: [], other: [] }
  const judge = async (row: StoredFile) => {
    const found = await ifThere(stat(pathOf(layout, row)))
    if (found === undefined) return 'gone'
    return isAsKept(found, row) ? 'there' : 'other'
  }
  const judgements = await Promise.all(rows.map(row => judge(row).catch(() => 'there' as const)))
  for (const [index, row] of rows.entries()) sorted[judgements[index] ?? 'there'].push(row)
  return sorted
}
