import { constants } from 'node:fs'
import { type FileHandle, open, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { ulid } from 'ulid'
import { isMissing } from '../../values/failures/system-error.js'
import type { FileKey } from '../../values/ids.js'
import type { FileLayout } from '../keeping/file-layout.js'
import { keyName } from '../keeping/file-layout.js'
import { type FileRecord, isOlder, type Provenance, type QueuedFile } from '../keeping/file-record.js'
import type { KeyLock } from '../keeping/key-lock.js'
import type { OwnFolders } from '../keeping/own-folders.js'
import { type Quota, tooManyFiles } from '../keeping/quota.js'
import { type PlaceableFile, writeSpoolFile } from '../keeping/spool-file.js'
import type { OutboxEntry } from '../types.js'
import type { EntryCounts, OutboxRepository } from './outbox-repository.js'

const { O_NOFOLLOW, O_RDONLY } = constants
const MAX_LISTED = 10_000

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
export interface Outbox {
  /** The entry that is under way for a key; one that failed is not. */
  pending(key: FileKey): Promise<QueuedFile | undefined>
  /**
   * The caller holds the lock of the key. Durable once it resolves; an older entry of the key is gone then.
   * @param nextAttemptAtMs when to try first
   * @returns `superseded` when a newer one waits already
   * @throws {RelayError} STORAGE_FULL when its source has too many files
   */
  add(
    record: FileRecord,
    bytes: PlaceableFile,
    how: Provenance,
    nextAttemptAtMs: number,
    error: string
  ): Promise<'pending' | 'superseded'>
  /** Removes an entry, file and all. The caller holds the lock of its key. */
  remove(entry: Entry): Promise<void>
  /** Removes what waited for a key, since a newer copy has arrived. The caller holds the lock. */
  removeOlder(key: FileKey): Promise<void>
  /** Removes the file of an entry whose record went in the step that put the file elsewhere. */
  removeFile(entry: Entry): Promise<void>
  /**
   * Removes an entry as {@link remove} does, waiting for the key's lock first.
   * @returns whether there was such an entry
   */
  drop(id: string): Promise<boolean>
  list(): Promise<OutboxEntry[]>
  /** The same of those alone that a node is the source or the target of, and how many of them there are. */
  of(nodeId: string): Promise<{ readonly entries: OutboxEntry[] } & EntryCounts>
  /**
   * Whether an entry's file is there.
   * @throws {RelayError} STORAGE_UNUSABLE when it cannot be told, since `shared_files.path` is not there itself
   */
  hasFile(entry: Entry): Promise<boolean>
  /** The bytes of an entry, to be closed. */
  open(id: string): Promise<FileHandle>
}

export function createOutbox(parts: OutboxParts): Outbox {
  const { layout, folders, repository, syncFolder, lock, quota, now } = parts

  async function removeFile(entry: Entry): Promise<void> {
    quota.add(-entry.sizeBytes)
    await folders
      .enter(layout.outbox, at => unlink(join(at, entry.id)))
      .catch(error => {
        if (!isMissing(error)) throw error
      })
  }

  async function remove(entry: Entry): Promise<void> {
    await repository.remove(entry.id)
    await removeFile(entry)
  }

  async function pending(key: FileKey): Promise<QueuedFile | undefined> {
    const entry = await repository.findByKey(key)
    return entry !== undefined && entry.state === 'pending' && entry.expiresAtMs > now() ? entry : undefined
  }

  /** Records an entry in place of one that is not newer. @returns what it took the place of, in a list */
  async function record(entry: QueuedFile): Promise<QueuedFile[] | 'superseded'> {
    const maxOfSource = quota.maxFilesPerSource
    for (;;) {
      const replacing = await repository.findByKey(entry)
      if (replacing?.state === 'pending' && isOlder(entry, replacing, now())) return 'superseded'
      const outcome = await repository.add(entry, { replacing, maxOfSource })
      if (outcome === 'too-many') throw tooManyFiles(entry.source, maxOfSource)
      if (outcome === 'added') return replacing === undefined ? [] : [replacing]
    }
  }

  /** Whether an entry may be recorded. Where that cannot be told, the file is left: the next start looks at it. */
  async function mayBeRecorded(id: string): Promise<boolean> {
    return repository.find(id).then(
      found => found !== undefined,
      () => true
    )
  }

  return {
    pending,
    async add(received, { file, inMemory }, how, nextAttemptAtMs, error) {
      const id = ulid(now())
      await writeSpoolFile(file, inMemory)
      await folders.within(layout.outbox, at => file.moveTo(join(at, id)))
      quota.add(received.sizeBytes)
      const entry = newEntry(id, received, how, nextAttemptAtMs, error)
      try {
        await syncFolder(layout.outbox)
        const replaced = await record(entry)
        for (const other of replaced === 'superseded' ? [entry] : replaced) await removeFile(other)
        return replaced === 'superseded' ? 'superseded' : 'pending'
      } catch (failure) {
        if (!(await mayBeRecorded(id))) await removeFile(entry)
        throw failure
      }
    },
    remove,
    async removeOlder(key) {
      const entry = await repository.findByKey(key)
      if (entry !== undefined) await remove(entry)
    },
    removeFile,
    async drop(id) {
      const entry = await repository.find(id)
      if (entry === undefined) return false
      const release = await lock.acquire(keyName(entry))
      try {
        if ((await repository.find(id)) === undefined) return false
        await remove(entry)
        return true
      } finally {
        release()
      }
    },
    async hasFile({ id }) {
      const there = folders.enter(layout.outbox, at => stat(join(at, id)))
      const found = await there.catch(error => {
        if (!isMissing(error)) throw error
      })
      if (found === undefined) folders.check()
      return found !== undefined
    },
    list: async () => (await repository.page(MAX_LISTED)).map(toEntry),
    of: async nodeId => ({
      entries: (await repository.page(MAX_LISTED, nodeId)).map(toEntry),
      ...(await repository.counts(nodeId))
    }),
    open: id => folders.enter(layout.outbox, at => open(join(at, id), O_RDONLY | O_NOFOLLOW))
  }
}

function newEntry(
  id: string,
  { target, source, fileId, sizeBytes, algorithm, hash, acceptedAtMs, expiresAtMs, signedAtMs, metadata }: FileRecord,
  how: Provenance,
  nextAttemptAtMs: number,
  lastError: string
): QueuedFile {
  const record = { target, source, fileId, sizeBytes, algorithm, hash, acceptedAtMs, expiresAtMs, signedAtMs, metadata }
  return { ...record, ...how, id, state: 'pending', attempts: 1, nextAttemptAtMs, lastStatus: undefined, lastError }
}

function toEntry(entry: QueuedFile): OutboxEntry {
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
