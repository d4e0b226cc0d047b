import { type FileHandle, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { ulid } from 'ulid'
import { isMissing } from '../../values/failures/system-error.js'
import type { FileKey } from '../../values/ids.js'
import type { OutboxEntry } from '../file-types.js'
import type { FileLayout } from '../keeping/file-layout.js'
import { keyName } from '../keeping/file-layout.js'
import { type FileRecord, isOlder, type ListedFile, type Provenance, type QueuedFile } from '../keeping/file-record.js'
import type { KeyLock } from '../keeping/key-lock.js'
import type { OwnFolders } from '../keeping/own-folders.js'
import { type Quota, tooManyFiles } from '../keeping/quota.js'
import { type PlaceableFile, writeSpoolFile } from '../keeping/spool-file.js'
import type { OutboxRepository } from './outbox-repository.js'
import { changeOf, faultOf, openWaiting, REMOVED } from './waiting-file.js'

const LISTED_AT_ONCE = 250

/**
 * Added to the name of a file whose record is not there yet, or is being removed. What a crash leaves under such a name, and
 * without a record, was never acknowledged, or is done with: the next start removes it. With a record it is the entry's file, which a
 * disk did not rename: it gets its name when it is needed, or at the next start.
 */
export const UNSETTLED = '~'

export interface OutboxParts {
  readonly layout: FileLayout
  readonly folders: OwnFolders
  readonly repository: OutboxRepository
  readonly syncFolder: (folder: string) => Promise<void>
  readonly lock: KeyLock
  readonly quota: Quota
  readonly now: () => number
}

type Entry = Pick<QueuedFile, 'id' | 'sizeBytes'>

/** Files on disk that wait for their next hop: at most one per key, the newest. `outbox-worker.ts` tries them. */
export class Outbox {
  constructor(private readonly parts: OutboxParts) {}

  /** The entry that is under way for a key; one that failed is not. */
  async pending(key: FileKey): Promise<QueuedFile | undefined> {
    const entry = await this.parts.repository.findByKey(key)
    return entry !== undefined && entry.state === 'pending' && entry.expiresAtMs > this.parts.now() ? entry : undefined
  }

  /**
   * The caller holds the lock of the key. Durable once it resolves; an older entry of the key is gone then.
   * @param nextAttemptAtMs when to try first
   * @returns `superseded` when a newer one waits already
   * @throws {RelayError} STORAGE_FULL when its source has too many files
   */
  async add(
    received: FileRecord,
    { file, inMemory }: PlaceableFile,
    how: Provenance,
    nextAttemptAtMs: number,
    error: string
  ): Promise<'pending' | 'superseded'> {
    const { layout, folders, syncFolder, quota, now } = this.parts
    const id = ulid(now())
    await writeSpoolFile(file, inMemory)
    await folders.within(layout.outbox, at => file.moveTo(join(at, id + UNSETTLED)))
    quota.add(received.sizeBytes)
    const entry = newEntry(id, received, how, nextAttemptAtMs, error)
    try {
      await syncFolder(layout.outbox)
      const replaced = await this.#record(entry)
      if (replaced !== 'superseded') await this.#nameRecorded(id)
      // The outcome stands: what a disk does not remove has no record, and goes at the next start.
      for (const other of replaced === 'superseded' ? [entry] : replaced)
        await this.removeFile(other).catch(() => undefined)
      return replaced === 'superseded' ? 'superseded' : 'pending'
    } catch (failure) {
      if (await this.#mayBeRecorded(id)) await this.#renameIfPossible(id + UNSETTLED, id)
      else await this.removeFile(entry)
      throw failure
    }
  }

  /** Removes an entry that the caller has claimed, file and all. The caller holds the lock of its key. */
  async finish(entry: Entry): Promise<'done' | 'lost'> {
    const finish = () => this.parts.repository.finish(entry.id)
    const outcome = await this.withdrawing(entry.id, finish, result => result === 'done')
    if (outcome === 'done') await this.removeFile(entry)
    return outcome
  }

  /** Removes an entry, file and all, whoever works on it. The caller holds the lock of its key. */
  async remove(entry: Entry): Promise<void> {
    const remove = () => this.parts.repository.remove(entry.id)
    await this.withdrawing(entry.id, remove, () => true)
    await this.removeFile(entry)
  }

  /** Removes what waited for a key, since a newer copy has arrived. The caller holds the lock. */
  async removeOlder(key: FileKey): Promise<void> {
    const entry = await this.parts.repository.findByKey(key)
    if (entry !== undefined) await this.remove(entry)
  }

  /**
   * Does a step that may remove the record of an entry. A crash after it leaves no file that seems to have lost its record.
   * @param removes tells from the result of the step whether it has removed the record
   */
  async withdrawing<T>(id: string, step: () => Promise<T>, removes: (result: T) => boolean): Promise<T> {
    await this.#renameIfPossible(id, id + UNSETTLED)
    let isRemoved = false
    try {
      const result = await step()
      isRemoved = removes(result)
      return result
    } finally {
      if (!isRemoved) await this.#renameIfPossible(id + UNSETTLED, id)
    }
  }

  /** Removes the file of an entry whose record went in the step that put the file elsewhere. */
  async removeFile(entry: Entry): Promise<void> {
    const { layout, folders, quota } = this.parts
    quota.add(-entry.sizeBytes)
    for (const name of [entry.id, entry.id + UNSETTLED])
      await unlessMissing(folders.enter(layout.outbox, at => unlink(join(at, name))))
  }

  /** A disk that refuses it keeps no record from being written: the name only says what a crash would leave. */
  async #renameIfPossible(from: string, to: string): Promise<void> {
    await this.#rename(from, to).catch(() => undefined)
  }

  /**
   * Gives a file that has a record now its name. A disk that refuses that loses nothing: the entry stands, and older ones were replaced.
   * @throws {Error} when the file is gone
   */
  async #nameRecorded(id: string): Promise<void> {
    await this.#rename(id + UNSETTLED, id).catch(error => {
      if (isMissing(error)) throw error
    })
  }

  #rename(from: string, to: string): Promise<void> {
    const { layout, folders } = this.parts
    return folders.enter(layout.outbox, at => rename(join(at, from), join(at, to)))
  }

  /**
   * Removes an entry as {@link remove} does, waiting for the key's lock first.
   * @returns whether there was such an entry
   */
  async drop(id: string): Promise<boolean> {
    const { repository, lock } = this.parts
    const entry = await repository.find(id)
    if (entry === undefined) return false
    const release = await lock.acquire(keyName(entry))
    try {
      if ((await repository.find(id)) === undefined) return false
      await this.remove(entry)
      return true
    } finally {
      release()
    }
  }

  /** A page of entries, the oldest first. @param nodeId only those that this node is the source or the target of */
  async list(after = '', nodeId?: string): Promise<OutboxEntry[]> {
    return (await this.parts.repository.page(after, LISTED_AT_ONCE, nodeId)).map(toEntry)
  }

  /**
   * Says why an entry's file cannot be sent: it is gone, is no file, or has another size.
   * @returns undefined when it can
   * @throws {RelayError} STORAGE_UNUSABLE when it cannot be told, since `shared_files.path` is not there itself
   */
  async fault(entry: QueuedFile): Promise<string | undefined> {
    const found = await this.#faultNow(entry)
    if (found !== REMOVED) return found
    this.parts.folders.check()
    return (await this.#giveNameBack(entry.id)) ? this.#faultNow(entry) : REMOVED
  }

  async #faultNow(entry: QueuedFile): Promise<string | undefined> {
    const { layout, folders } = this.parts
    const found = folders.enter(layout.outbox, at => faultOf(join(at, entry.id), entry))
    return found.catch(error => {
      if (!isMissing(error)) throw error
      return REMOVED
    })
  }

  /** @returns whether the file was there, by the name that says that it has no record */
  async #giveNameBack(id: string): Promise<boolean> {
    try {
      await this.#rename(id + UNSETTLED, id)
      return true
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  }

  /** Says so where an entry's file has other content than was accepted. It is read whole. */
  change(entry: QueuedFile): Promise<string | undefined> {
    const { layout, folders } = this.parts
    return folders.enter(layout.outbox, at => changeOf(join(at, entry.id), entry))
  }

  /** The bytes of an entry, to be closed. */
  open(id: string): Promise<FileHandle> {
    const { layout, folders } = this.parts
    return folders.enter(layout.outbox, at => openWaiting(join(at, id)))
  }

  /** Records an entry in place of one that is not newer. @returns what it took the place of, in a list */
  async #record(entry: QueuedFile): Promise<QueuedFile[] | 'superseded'> {
    const { repository, quota, now } = this.parts
    const maxOfSource = quota.maxFilesPerSource
    for (;;) {
      const replacing = await repository.findByKey(entry)
      if (replacing?.state === 'pending' && isOlder(entry, replacing, now())) return 'superseded'
      const add = () => repository.add(entry, { replacing, maxOfSource })
      const outcome =
        replacing === undefined ? await add() : await this.withdrawing(replacing.id, add, result => result === 'added')
      if (outcome === 'too-many') throw tooManyFiles(entry.source, maxOfSource)
      if (outcome === 'added') return replacing === undefined ? [] : [replacing]
    }
  }

  /** Whether an entry may be recorded. Where that cannot be told, the file is left: the next start looks at it. */
  async #mayBeRecorded(id: string): Promise<boolean> {
    return this.parts.repository.find(id).then(
      found => found !== undefined,
      () => true
    )
  }
}

async function unlessMissing(work: Promise<void>): Promise<void> {
  await work.catch(error => {
    if (!isMissing(error)) throw error
  })
}

function newEntry(
  id: string,
  { target, source, fileId, sizeBytes, algorithm, hash, expiresAtMs, signedAtMs, metadata, ...rest }: FileRecord,
  how: Provenance,
  nextAttemptAtMs: number,
  lastError: string
): QueuedFile {
  const { acceptedAtMs, series, seriesNumber } = rest
  const acceptance = { acceptedAtMs, series, seriesNumber }
  const record = { target, source, fileId, sizeBytes, algorithm, hash, expiresAtMs, signedAtMs, metadata }
  return {
    ...record,
    ...acceptance,
    ...how,
    id,
    state: 'pending',
    attempts: 1,
    nextAttemptAtMs,
    lastStatus: undefined,
    lastError
  }
}

function toEntry(entry: ListedFile): OutboxEntry {
  const { id, state, target, source, fileId, sizeBytes, acceptedAtMs, expiresAtMs, attempts } = entry
  return {
    id,
    key: { target, source, fileId },
    state,
    sizeBytes,
    acceptedAtMs,
    expiresAtMs,
    attempts,
    nextAttemptAtMs: state === 'pending' ? entry.nextAttemptAtMs : undefined,
    lastError: entry.lastError
  }
}
