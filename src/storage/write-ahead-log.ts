import { closeSync, fdatasync, fdatasyncSync, fsyncSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Database } from 'better-sqlite3'

/**
 * Brings SQLite's write-ahead log to the disk, where `synchronous = NORMAL` only writes it: what was committed before is
 * durable once its log is (https://www.sqlite.org/wal.html). SQLite would wait for the disk in the event loop, and with
 * `fsync`, which on ext4 waits for what other files of the same moment have to write as well.
 */
export class WriteAheadLog {
  readonly #path: string
  /** SQLite holds no lock on the log itself, which closing a descriptor of our own would release. */
  #isFolderSynced = false

  constructor(db: Database) {
    this.#path = `${db.name}-wal`
  }

  /** Off the event loop. @throws (rejects) when the disk does not take it; then nothing is certain of what it held */
  async sync(): Promise<void> {
    const log = this.#open()
    try {
      await new Promise<void>((resolve, reject) => {
        fdatasync(log, error => (error === null ? resolve() : reject(error)))
      })
    } finally {
      closeSync(log)
    }
  }

  /** As {@link sync}, in this turn of the event loop. @throws as that */
  syncNow(): void {
    const log = this.#open()
    try {
      fdatasyncSync(log)
    } finally {
      closeSync(log)
    }
  }

  /** The log is made with the first write of a process, and its name has to last as well. */
  #open(): number {
    if (!this.#isFolderSynced) {
      const folder = openSync(dirname(this.#path), 'r')
      try {
        fsyncSync(folder)
      } finally {
        closeSync(folder)
      }
      this.#isFolderSynced = true
    }
    return openSync(this.#path, 'r')
  }
}
