import { constants, type Stats } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { ifThere } from '../../file-system/files/if-there.js'
import { formatMetadata, MAX_METADATA_BYTES, parseMetadata } from '../../keys/signatures/file-metadata.js'
import { coveredSigningTime } from '../../keys/signatures/verify-file.js'
import { errorCode, isMissing } from '../../values/failures/system-error.js'
import type { FileKey } from '../../values/ids.js'
import { keyName, METADATA_SUFFIX, type PlacedKey, pathOf } from '../keeping/file-layout.js'
import type { StoredFile } from '../keeping/file-record.js'
import { isAsKept, keptFiles } from '../keeping/kept-files.js'
import { storedMetadata } from '../keeping/placement.js'
import { isStoredAhead, writeMetadata } from './clock-set-back.js'
import { forgetRows, type PurgeParts, removeFiles } from './purge-files.js'

/** Longest `expires=` line that may follow the block. */
const EXPIRES_LINE_BYTES = 64
const MAX_NAMED_STRAYS = 20
/** A row is stored a moment before its file gets its name; after a crash the start does that. */
const NAMING_MS = 60_000
const SECONDS = /^\d{1,13}$/

export interface ReconciliationResult {
  readonly adopted: number
  /** Replaced by someone else while this relay was away: the rows follow. */
  readonly replaced: number
  /** Metadata files that were missing or torn, and were written again from their row. */
  readonly repaired: number
  /** Older copies at a place that a file has left; they are removed. */
  readonly outdated: number
  /** Damaged on the disk: they can be shared again. */
  readonly damaged: number
  /** Files that are not ours to judge; they are left alone. */
  readonly strays: number
}

/**
 * Compares the folder with the rows, beside requests: a file with its metadata but without a row is adopted (an
 * existing relay's folder, or a database that was lost), one that is not what its row says is taken over, a metadata
 * file that a power failure tore is written again. Rows without a file go elsewhere (`missing-files.ts`).
 */
export async function reconcile(parts: PurgeParts, signal: AbortSignal): Promise<ReconciliationResult> {
  const { layout, logger } = parts
  const result = { adopted: 0, replaced: 0, repaired: 0, outdated: 0, damaged: 0, strays: 0 }
  for await (const key of keptFiles(layout, signal, stray)) {
    const outcome = await look(parts, key).catch(error => {
      logger.warn({ err: error, file: keyName(key) }, 'cannot read a shared file')
      return 'fine' as const
    })
    if (outcome === 'stray') stray(pathOf(layout, key))
    else if (outcome !== 'fine') result[outcome] += 1
  }
  function stray(path: string): void {
    result.strays += 1
    if (result.strays <= MAX_NAMED_STRAYS) logger.warn({ path }, 'ignored path: not a shared file with its metadata')
  }
  const differences = Object.values(result).reduce((sum, count) => sum + count, 0)
  if (differences > 0) logger.info(result, 'compared shared files with the database')
  return result
}

type Outcome = 'fine' | 'adopted' | 'replaced' | 'repaired' | 'outdated' | 'damaged' | 'stray'

async function look(parts: PurgeParts, key: PlacedKey): Promise<Outcome> {
  const row = await parts.files.find(key)
  if (row?.via === key.via && (await compare(parts, row)) === 'same') return 'fine'
  const release = await parts.lock.acquire(keyName(key))
  try {
    const current = await parts.files.find(key)
    if (current === undefined) return await adopt(parts, key)
    if (current.via !== key.via) return await lookAtAnotherPlace(parts, key, current)
    const difference = await compare(parts, current)
    if (difference === 'same') return 'fine'
    if (difference === 'changed') return await judge(parts, current)
    await writeMetadata(parts, current)
    return 'repaired'
  } finally {
    release()
  }
}

/**
 * Tells, without reading, whether what lies there may be something else than the row says. A file that keeps an old
 * date when it is copied or moved there still shows when that was done.
 */
async function compare({ layout, now }: PurgeParts, row: StoredFile): Promise<'same' | 'torn' | 'changed'> {
  if (row.spool !== undefined) return 'same' // it is being put in place
  const path = pathOf(layout, row)
  const [file, metadata] = await Promise.all([ifThere(stat(path)), ifThere(stat(path + METADATA_SUFFIX))])
  if (file === undefined) return 'same'
  // One that was never synced may have lost its contents with the power: then it is empty, or not there.
  if (metadata === undefined || metadata.size === 0) return 'torn'
  if (isStoredAhead(row, now())) return 'changed' // dates say nothing: the clock was set back since
  const isSame = file.size === row.sizeBytes && !isNewer(file, row) && !isNewer(metadata, row)
  return isSame ? 'same' : 'changed'
}

function isNewer({ mtimeMs, ctimeMs }: Stats, { storedAtMs }: StoredFile): boolean {
  return Math.floor(mtimeMs) > storedAtMs || ctimeMs > storedAtMs + NAMING_MS
}

/**
 * A file whose row says another place: the tree has changed, or someone put it there. The newer one stays. Where it
 * belongs now is not decided here (`relocation.ts`).
 */
async function lookAtAnotherPlace(parts: PurgeParts, key: PlacedKey, row: StoredFile): Promise<Outcome> {
  const { layout } = parts
  const path = pathOf(layout, key)
  const [file, kept] = await Promise.all([ifThere(stat(path)), ifThere(stat(pathOf(layout, row)))])
  if (file === undefined) return 'fine'
  if (kept === undefined || isNewer(file, row)) {
    const outcome = await adopt(parts, key, row)
    if (outcome === 'replaced') await removeFiles(parts, row)
    if (outcome === 'damaged') await removeFiles(parts, key)
    return outcome
  }
  await removeFiles(parts, key)
  return 'outdated'
}

/**
 * Judges one kept file again that was found gone, or other than its row says: what someone else put in its place with
 * its metadata is taken over, else the row is dropped. As long as it was there nobody could share the file again.
 * @returns whether it is as its row says
 * @throws {RelayError} STORAGE_UNUSABLE when `shared_files.path` itself is gone
 */
export async function recheckFile(parts: PurgeParts, key: FileKey): Promise<boolean> {
  const release = await parts.lock.acquire(keyName(key))
  try {
    const row = await parts.files.find(key)
    if (row === undefined) return false
    if (isAsKept(await ifThere(stat(pathOf(parts.layout, row))), row)) return true
    return (await judge(parts, row)) === 'fine'
  } finally {
    release()
  }
}

async function judge(parts: PurgeParts, row: StoredFile): Promise<Outcome> {
  const path = pathOf(parts.layout, row)
  const found = await ifThere(stat(path))
  if (found === undefined)
    parts.folders.check() // all seem to have gone while their disk is not mounted
  else {
    const outcome = await adopt(parts, row, row)
    if (!['stray', 'damaged'].includes(outcome) || isAsKept(found, row)) return outcome
  }
  await removeFiles(parts, row) // or the next start would take it for one that an existing relay left
  await forgetRows(parts, [row])
  const bytes = found?.isFile() ? found.size : undefined
  parts.logger.warn(
    { path, bytes, expectedBytes: row.sizeBytes },
    'shared file is missing or damaged on disk; its record is removed'
  )
  return 'damaged'
}

/** Makes the row say what the file and its metadata do. @param row what it says now */
export async function adopt(parts: PurgeParts, key: PlacedKey, row?: StoredFile): Promise<Outcome> {
  const { files, cache, quota } = parts
  const path = pathOf(parts.layout, key)
  const text = await readShort(path + METADATA_SUFFIX)
  const found = text === undefined ? undefined : await rowOf(path, key, text)
  if (found === undefined) return 'stray'
  if (row?.hash === found.hash && row.algorithm === found.algorithm && row.sizeBytes !== found.sizeBytes)
    return 'damaged'
  if (row?.via === key.via && saysTheSame(row, found)) return 'fine'
  if ((await files.keep(found, { replacing: row })) !== 'kept') return 'fine' // it was replaced: the next look sees it
  cache.forget(keyName(key))
  quota.add(found.sizeBytes - (row?.sizeBytes ?? 0))
  return row === undefined ? 'adopted' : 'replaced'
}

function saysTheSame(row: StoredFile, found: StoredFile): boolean {
  return row.sizeBytes === found.sizeBytes && storedMetadata(row) === storedMetadata(found)
}

async function rowOf(path: string, key: PlacedKey, text: string): Promise<StoredFile | undefined> {
  const found = await stat(path)
  if (!found.isFile()) return undefined
  try {
    const metadata = parseMetadata(text)
    const expires = metadata.fields.get('expires')
    if (expires === undefined || !SECONDS.test(expires)) return undefined
    const writtenAtMs = Math.floor(found.mtimeMs)
    return {
      ...key,
      sizeBytes: found.size,
      algorithm: metadata.algorithm,
      hash: metadata.hashValue,
      acceptedAtMs: writtenAtMs,
      series: undefined,
      seriesNumber: undefined,
      storedAtMs: writtenAtMs,
      expiresAtMs: Number(expires) * 1_000,
      signedAtMs: coveredSigningTime(metadata),
      metadata: formatMetadata(metadata),
      spool: undefined
    }
  } catch {
    return undefined // not a metadata block
  }
}

/** @returns undefined when there is no such file, or it is too long for a metadata block */
async function readShort(path: string): Promise<string | undefined> {
  let handle: Awaited<ReturnType<typeof open>>
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK) // it may be anything
  } catch (error) {
    if (isMissing(error) || errorCode(error) === 'ELOOP') return undefined // a link is nobody's metadata
    throw error
  }
  try {
    const { size } = await handle.stat()
    return size > MAX_METADATA_BYTES + EXPIRES_LINE_BYTES ? undefined : await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}
