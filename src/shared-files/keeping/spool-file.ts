import { randomBytes } from 'node:crypto'
import { closeSync, constants, fdatasync, fsync, open, rename, unlink, write, writev } from 'node:fs'
import { type FileHandle, open as openHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { linkOrCopy } from '../../file-system/files/hard-link-or-copy.js'
import { isMissing } from '../../values/failures/system-error.js'
import type { FileLayout } from './file-layout.js'
import type { OwnFolders } from './own-folders.js'

// The callback functions of node:fs cost about half of what file handles do, and a small PUT is made of them. Only
// `close` is done at once: anything that makes or moves a name may have to wait for the file system's journal.
const openFile = promisify(open)
const syncFile = promisify(fsync)
const syncData = promisify(fdatasync)
const renameFile = promisify(rename)
const removeFile = promisify(unlink)

const { O_CREAT, O_NOFOLLOW, O_RDONLY, O_TRUNC, O_WRONLY } = constants
const FILE_MODE = 0o640

/** The kernel is told to begin writing each time this much has come, so that the last sync finds little left to do. */
const EARLY_SYNC_BYTES = 8 * 1024 * 1024

/** Makes names in `.incoming~` that no other file has, nor had in an earlier run of this relay. */
export function createSpoolNames(): () => string {
  const run = randomBytes(8).toString('hex')
  let count = 0
  return () => `${run}-${(count++).toString(36)}`
}

/** A file in `.incoming~`, from its first byte until it is moved to where it belongs, or discarded. */
export class SpoolFile {
  readonly #incoming: string
  #fd: number | undefined
  #writtenBytes = 0
  #earlySyncAtBytes: number
  #earlySync: Promise<void> | undefined
  #earlySyncError: unknown
  #isOnDisk = false
  #isLinked = false

  /** @param isKept whether it is to stay on this relay; one that is passed on is brought to the disk only if it must wait */
  constructor(
    { incoming }: FileLayout,
    private readonly folders: OwnFolders,
    readonly name: string,
    isKept: boolean
  ) {
    this.#incoming = incoming
    this.#earlySyncAtBytes = isKept ? EARLY_SYNC_BYTES : Number.POSITIVE_INFINITY
  }

  /** Appends. One call at a time. */
  async append(chunks: readonly Buffer[]): Promise<void> {
    this.#fd ??= await this.#open()
    this.#writtenBytes += await writeAll(this.#fd, chunks)
    if (this.#writtenBytes >= this.#earlySyncAtBytes && this.#earlySync === undefined) this.#syncEarly(this.#fd)
  }

  /** Finishes the file: everything appended is on disk when this resolves. Nothing is appended after. */
  async finish(): Promise<void> {
    if (this.#isLinked) return
    this.#fd ??= await this.#open()
    await this.#earlySync
    if (this.#earlySyncError !== undefined) throw this.#earlySyncError
    await syncFile(this.#fd)
    this.#close()
  }

  /** Opens the file for reading again, while it is here. To be closed. */
  read(): Promise<FileHandle> {
    return this.folders.enter(this.#incoming, at => openHandle(join(at, this.name), O_RDONLY | O_NOFOLLOW))
  }

  /**
   * Makes this a further name of a file that is on disk already, durably, or a copy where it can have none.
   * @param path in a folder that was entered
   */
  async linkTo(path: string): Promise<void> {
    await this.folders.within(this.#incoming, at => linkOrCopy(path, join(at, this.name)))
    this.#isLinked = true
    this.#isOnDisk = true
  }

  async moveTo(path: string): Promise<void> {
    await this.folders.enter(this.#incoming, at => renameFile(join(at, this.name), path))
    this.#isOnDisk = false
  }

  /** Removes it, if it is still here. */
  async discard(): Promise<void> {
    if (this.#earlySync !== undefined) await this.#earlySync
    this.#close()
    if (!this.#isOnDisk) return
    this.#isOnDisk = false
    await this.folders
      .enter(this.#incoming, at => removeFile(join(at, this.name)))
      .catch(error => {
        if (!isMissing(error)) throw error
      })
  }

  async #open(): Promise<number> {
    const fd = await this.folders.within(this.#incoming, at => openFile(join(at, this.name), 'wx', FILE_MODE))
    this.#isOnDisk = true
    return fd
  }

  #close(): void {
    const fd = this.#fd
    this.#fd = undefined
    if (fd !== undefined) closeSync(fd)
  }

  #syncEarly(fd: number): void {
    this.#earlySync = syncData(fd)
      .catch(error => {
        this.#earlySyncError = error // the kernel reports a lost write only once
      })
      .finally(() => {
        this.#earlySync = undefined
        this.#earlySyncAtBytes = this.#writtenBytes + EARLY_SYNC_BYTES
      })
  }
}

/** Bytes that have been received: still in memory, or in the incoming file. */
export interface PlaceableFile {
  readonly file: SpoolFile
  readonly inMemory: Buffer | undefined
}

/** Brings all of a received file to the disk. */
export async function writeSpoolFile(file: SpoolFile, inMemory: Buffer | undefined): Promise<void> {
  if (inMemory !== undefined) await file.append([inMemory])
  await file.finish()
}

/** Writes a short file without waiting for the disk. @param path in a folder that was entered */
export async function writeShortFile(path: string, text: string): Promise<void> {
  const fd = await openFile(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, FILE_MODE)
  try {
    await writeAll(fd, [Buffer.from(text)])
  } finally {
    closeSync(fd)
  }
}

/** @returns how many bytes were written, which is all */
async function writeAll(fd: number, chunks: readonly Buffer[]): Promise<number> {
  const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  let left = chunks
  let done = 0
  while (done < total) {
    const written = await writeSome(fd, left)
    done += written
    left = done < total ? skip(left, written) : []
  }
  return total
}

function writeSome(fd: number, chunks: readonly Buffer[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const settle = (error: NodeJS.ErrnoException | null, written: number) => (error ? reject(error) : resolve(written))
    const [only] = chunks
    if (only !== undefined && chunks.length === 1) write(fd, only, settle)
    else writev(fd, chunks, settle)
  })
}

/** The rest after a short write. */
function skip(chunks: readonly Buffer[], bytes: number): Buffer[] {
  const left: Buffer[] = []
  let toSkip = bytes
  for (const chunk of chunks) {
    if (toSkip < chunk.length) left.push(chunk.subarray(toSkip))
    toSkip = Math.max(0, toSkip - chunk.length)
  }
  return left
}
