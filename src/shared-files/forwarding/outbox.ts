import { constants } from 'node:fs'
import { type FileHandle, open, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { ulid } from 'ulid'
import type { Commit } from '../../storage/group-commit.js'
import type { OutboxRow, OutboxStore } from '../../storage/outbox-store.js'
import type { FileKey } from '../../values/ids.js'
import type { FileLayout } from '../keeping/file-layout.js'
import { keyName } from '../keeping/file-layout.js'
import type { FileRecord } from '../keeping/file-record.js'
import type { KeyLock } from '../keeping/key-lock.js'
import type { OwnFolders } from '../keeping/own-folders.js'
import type { Quota } from '../keeping/quota.js'
import { type PlaceableFile, writeIncoming } from '../keeping/spool-file.js'
import { isMissing } from '../keeping/storage-errors.js'
import type { OutboxEntry } from '../types.js'

const { O_NOFOLLOW, O_RDONLY } = constants
const MAX_LISTED = 10_000

/** How a file came here, for those who get it next. */
export interface Provenance {
  /** Of the source, in the form of the nodes list. */
  readonly keyHash: string
  /** Relays passed before this one, as in the header. */
  readonly passed: string
  readonly requestId: string
}

export interface OutboxParts {
  readonly layout: FileLayout
  readonly folders: OwnFolders
  readonly store: OutboxStore
  readonly commit: Commit
  readonly syncFolder: (folder: string) => Promise<void>
  readonly lock: KeyLock
  readonly quota: Quota
  readonly now: () => number
}

/** Files on disk that wait for their next hop: at most one per key, the newest. Who tries them is `outbox-worker.ts`. */
export interface Outbox {
  /** The entry that is under way for a key; one that failed is not. */
  pending(key: FileKey): OutboxRow | undefined
  /**
   * The caller holds the lock of the key. Durable once it resolves; an older entry of the key is gone then.
   * @param nextAttemptAtMs when to try first
   */
  add(record: FileRecord, bytes: PlaceableFile, how: Provenance, nextAttemptAtMs: number, error: string): Promise<void>
  /** Removes an entry, file and all. The caller holds the lock of its key. */
  remove(row: Pick<OutboxRow, 'id' | 'sizeBytes'>): Promise<void>
  /** Removes what waited for a key, since a newer copy has arrived. The caller holds the lock. */
  removeOlder(key: FileKey): Promise<void>
  /** Removes the file of an entry whose record went in the step that put the file elsewhere. */
  removeFile(row: Pick<OutboxRow, 'id' | 'sizeBytes'>): Promise<void>
  /** As {@link remove}, waiting for the key's lock first. @returns whether there was such an entry */
  drop(id: string): Promise<boolean>
  list(): OutboxEntry[]
  /** The same of those alone that a node is the source or the target of, and how many of them there are. */
  of(nodeId: string): { readonly entries: OutboxEntry[]; readonly pending: number; readonly failed: number }
  /**
   * Whether an entry's file is there.
   * @throws {RelayError} STORAGE_UNUSABLE when it cannot be told, since `shared_files.path` is not there itself
   */
  hasFile(row: Pick<OutboxRow, 'id' | 'sizeBytes'>): Promise<boolean>
  /** The bytes of an entry, to be closed. */
  open(id: string): Promise<FileHandle>
}

export function createOutbox({ layout, folders, store, commit, syncFolder, lock, quota, now }: OutboxParts): Outbox {
  async function removeFile(row: Pick<OutboxRow, 'id' | 'sizeBytes'>): Promise<void> {
    quota.add(-row.sizeBytes)
    await folders
      .enter(layout.outbox, at => unlink(join(at, row.id)))
      .catch(error => {
        if (!isMissing(error)) throw error
      })
  }

  async function remove(row: Pick<OutboxRow, 'id' | 'sizeBytes'>): Promise<void> {
    await commit(() => void store.remove(row.id))
    await removeFile(row)
  }

  function pending(key: FileKey): OutboxRow | undefined {
    const row = store.findByKey(key)
    return row !== undefined && row.state === 'pending' && row.expiresAtMs > now() ? row : undefined
  }

  return {
    pending,
    async add(record, { file, inMemory }, how, nextAttemptAtMs, error) {
      const id = ulid(now())
      await writeIncoming(file, inMemory)
      await folders.within(layout.outbox, at => file.moveTo(join(at, id)))
      quota.add(record.sizeBytes)
      try {
        await syncFolder(layout.outbox)
        const before = store.findByKey(record)
        await commit(() => store.put(newRow(id, record, how, nextAttemptAtMs, error)))
        if (before !== undefined) await removeFile(before)
      } catch (failure) {
        if (store.find(id) === undefined) await removeFile({ id, sizeBytes: record.sizeBytes })
        throw failure
      }
    },
    remove,
    async removeOlder(key) {
      const row = store.findByKey(key)
      if (row !== undefined) await remove(row)
    },
    removeFile,
    async drop(id) {
      const row = store.find(id)
      if (row === undefined) return false
      const release = await lock.acquire(keyName(row))
      try {
        if (store.find(id) === undefined) return false
        await remove(row)
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
    list: () => store.list(MAX_LISTED).map(toEntry),
    of: nodeId => ({
      entries: store.listOf(nodeId, MAX_LISTED).map(toEntry),
      pending: store.countOf(nodeId, 'pending'),
      failed: store.countOf(nodeId, 'failed')
    }),
    open: id => folders.enter(layout.outbox, at => open(join(at, id), O_RDONLY | O_NOFOLLOW))
  }
}

function newRow(
  id: string,
  record: FileRecord,
  how: Provenance,
  nextAttemptAtMs: number,
  lastError: string
): OutboxRow {
  return { ...record, ...how, id, state: 'pending', attempts: 1, nextAttemptAtMs, lastStatus: null, lastError }
}

function toEntry(row: OutboxRow): OutboxEntry {
  const { id, state, target, source, fileId, sizeBytes, acceptedAtMs, expiresAtMs, attempts } = row
  return {
    id,
    key: { target, source, fileId },
    state,
    sizeBytes,
    acceptedAtMs,
    expiresAtMs,
    attempts,
    nextAttemptAtMs: state === 'pending' ? row.nextAttemptAtMs : undefined,
    lastError: row.lastError ?? undefined
  }
}
