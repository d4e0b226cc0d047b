import { rename } from 'node:fs'
import { rm } from 'node:fs/promises'
import { promisify } from 'node:util'
import { isMissing } from '../../values/failures/system-error.js'
import type { FileKey } from '../../values/ids.js'
import { allEnded } from '../../values/time/all-ended.js'
import type { DeferredFsync } from './deferred-fsync.js'
import type { FileLayout } from './file-layout.js'
import { folderOf, keyName, METADATA_SUFFIX, type PlacedKey } from './file-layout.js'
import { type FileRecord, isOlder, type KeptRecord, type StoredFile } from './file-record.js'
import type { FileRepository, Replacement } from './file-repository.js'
import type { HeadCache } from './head-cache.js'
import { removeKeptFile } from './kept-files.js'
import type { OwnFolders } from './own-folders.js'
import { type Quota, tooManyFiles } from './quota.js'
import { type PlaceableFile, type SpoolFile, writeShortFile, writeSpoolFile } from './spool-file.js'

type Placing = 'stored' | 'superseded' | 'lost'

/** The outbox entry of a file, as {@link Replacement} has it. */
type Waiting = Pick<Replacement, 'insteadOf' | 'isClaimed'>

const renameFile = promisify(rename)

/** Folders known to be there; forgotten all at once when there are too many. */
const MAX_KNOWN_FOLDERS = 20_000

export interface PlacementParts {
  readonly layout: FileLayout
  readonly folders: OwnFolders
  readonly files: FileRepository
  readonly syncFolder: (folder: string) => Promise<void>
  readonly deferredFsync: DeferredFsync
  readonly cache: HeadCache
  readonly quota: Quota
  readonly now: () => number
  readonly onStored: (sizeBytes: number, key: FileKey) => void
}

/** The metadata beside a file: the block, and when it expires (contract, "What is stored"). */
export function storedMetadata(record: Pick<FileRecord, 'metadata' | 'expiresAtMs'>): string {
  return `${record.metadata}expires=${Math.ceil(record.expiresAtMs / 1_000)}\n`
}

/**
 * Puts files where agents find them.
 *
 * A file and its metadata are two names, which no file system changes at once. So the record is a redo log: it is
 * committed, naming the incoming file and holding the metadata, when the bytes are on disk and before either name
 * changes. From then on a crash loses nothing: start-up repeats the renames (see `recover-files.ts`). That is why the answer
 * need not wait for the folder's fsync: the {@link DeferredFsync} does that for many files at once, and only then strikes
 * `spool` from their records. The metadata file is never synced at all, since the record can always write it again.
 */
export class Placement {
  readonly #known = new Set<string>()

  constructor(private readonly parts: PlacementParts) {}

  /**
   * The caller holds the lock of the file's key. Durable once it resolves; on failure nothing has changed, and the
   * incoming file is the caller's to discard.
   * @param waiting an outbox entry whose record goes in the same step
   * @returns `superseded` when a newer file is kept; `lost` when the claim on the entry was lost
   * @throws {RelayError} STORAGE_FULL when its source has too many
   */
  async place(record: KeptRecord, bytes: PlaceableFile, waiting: Waiting = {}): Promise<Placing> {
    const { layout, folders, files, deferredFsync, cache, quota, now } = this.parts
    const { file } = bytes
    const seen = await files.find(record)
    if (seen !== undefined && isOlder(record, seen, now())) return 'superseded'
    const instead = await this.#keepAndMove(record, bytes, seen, waiting).catch(async error => {
      await this.#discardMetadata(file)
      throw error
    })
    if (typeof instead === 'string') {
      await this.#discardMetadata(file)
      return instead
    }
    const before = instead.replacing
    // From here on the record stands for the file; were this to fail, the next start would repeat it.
    await this.#putBeside(record, file.name, METADATA_SUFFIX)
    // Left there by a crash, reconciliation finds that its record says another place.
    if (before !== undefined && before.via !== record.via) await removeKeptFile(folders, layout, before)
    cache.set(keyName(record), { hash: record.hash, expiresAtMs: record.expiresAtMs, via: record.via })
    quota.add(record.sizeBytes - (before?.sizeBytes ?? 0))
    this.parts.onStored(record.sizeBytes, record)
    await deferredFsync.add(file.name, folderOf(layout, record))
    return 'stored'
  }

  /** Removes what is kept under a key, since a newer copy is where it belongs. The caller holds the lock of the key. */
  async removeKept(key: FileKey): Promise<void> {
    const { layout, folders, files, cache, quota } = this.parts
    const kept = await files.find(key)
    if (kept === undefined) return
    await removeKeptFile(folders, layout, kept)
    const removed = await files.remove([kept])
    cache.forget(keyName(kept))
    for (const { sizeBytes } of removed) quota.add(-sizeBytes)
  }

  /** Puts in place what the record says, as far as that has not been done: for start-up after a crash. */
  async redo(kept: StoredFile): Promise<void> {
    const { layout, folders } = this.parts
    await this.#makeFolder(kept)
    const spool = kept.spool ?? ''
    await this.#putBeside(kept, spool, '').catch(error => {
      if (!isMissing(error)) throw error // it was moved before the crash
    })
    const write = (at: string) => writeShortFile(`${at}/${spool}${METADATA_SUFFIX}`, storedMetadata(kept))
    await folders.enter(layout.incoming, write)
    await this.#putBeside(kept, spool, METADATA_SUFFIX)
    await this.settle(kept)
  }

  /** Brings the names of a file that is in place to the disk, soon, and then strikes `spool` from its record. */
  async settle(kept: StoredFile): Promise<void> {
    await this.parts.deferredFsync.add(kept.spool ?? '', folderOf(this.parts.layout, kept))
  }

  /** Records a file, and moves it to where it belongs, or does neither. @returns what it took the place of */
  async #keepAndMove(
    record: KeptRecord,
    bytes: PlaceableFile,
    seen: StoredFile | undefined,
    waiting: Waiting
  ): Promise<Replacement | Exclude<Placing, 'stored'>> {
    await this.#prepare(record, bytes)
    const stored = { ...record, storedAtMs: this.parts.now(), spool: bytes.file.name }
    const instead = await this.#keep(stored, seen, waiting)
    if (typeof instead === 'string') return instead
    try {
      await this.#moveFile(record, bytes.file)
      return instead
    } catch (error) {
      await this.#undo(stored, instead)
      throw error
    }
  }

  /** All that a full disk can stop. */
  async #prepare(record: KeptRecord, { file, inMemory }: PlaceableFile): Promise<void> {
    const { layout, folders } = this.parts
    // Where one fails, the others are waited for, as their files are removed then.
    await allEnded([
      writeSpoolFile(file, inMemory),
      folders.within(layout.incoming, at => writeShortFile(metadataOf(at, file), storedMetadata(record))),
      this.#makeFolder(record)
    ])
    await this.parts.syncFolder(layout.incoming)
  }

  async #makeFolder(key: PlacedKey): Promise<void> {
    const { layout, folders, deferredFsync } = this.parts
    const folder = folderOf(layout, key)
    if (this.#known.has(folder)) return
    if (await folders.make(folder)) deferredFsync.addNewFolder(key)
    if (this.#known.size >= MAX_KNOWN_FOLDERS) this.#known.clear()
    this.#known.add(folder)
  }

  /** Records a file. Where another process has replaced what was seen, it looks again: the newer one stays. */
  async #keep(
    file: StoredFile,
    seen: StoredFile | undefined,
    waiting: Waiting
  ): Promise<Replacement | Exclude<Placing, 'stored'>> {
    const { files, quota, now } = this.parts
    for (let replacing = seen; ; replacing = await files.find(file)) {
      if (replacing !== undefined && isOlder(file, replacing, now())) return 'superseded'
      const instead = { ...waiting, replacing }
      const outcome = await files.keep(file, { ...instead, maxOfSource: quota.maxFilesPerSource })
      if (outcome === 'too-many') throw tooManyFiles(file.source, quota.maxFilesPerSource)
      if (outcome === 'lost') return outcome
      if (outcome === 'kept') return instead
    }
  }

  async #moveFile(key: PlacedKey, file: SpoolFile): Promise<void> {
    const folder = folderOf(this.parts.layout, key)
    const move = () => this.parts.folders.enter(folder, at => file.moveTo(`${at}/${key.fileId}`))
    try {
      await move()
    } catch (error) {
      if (!isMissing(error)) throw error
      this.#known.delete(folder) // someone removed it
      await this.#makeFolder(key)
      await move()
    }
  }

  async #undo(file: StoredFile, instead: Replacement): Promise<void> {
    const { files, cache } = this.parts
    cache.forget(keyName(file))
    await files.undo(file, instead)
    cache.forget(keyName(file))
  }

  /** Brings a file from `.incoming~` to a name beside a kept one. */
  async #putBeside(key: PlacedKey, name: string, suffix: string): Promise<void> {
    const { layout, folders } = this.parts
    const to = (at: string) => `${at}/${key.fileId}${suffix}`
    await folders.enter(folderOf(layout, key), at =>
      folders.enter(layout.incoming, from => renameFile(`${from}/${name}${suffix}`, to(at)))
    )
  }

  async #discardMetadata(file: SpoolFile): Promise<void> {
    const { layout, folders } = this.parts
    await folders.enter(layout.incoming, at => rm(metadataOf(at, file), { force: true })).catch(() => undefined)
  }
}

function metadataOf(at: string, { name }: SpoolFile): string {
  return `${at}/${name}${METADATA_SUFFIX}`
}
