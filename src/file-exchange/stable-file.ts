import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import type { HashAlgorithm } from '../keys/signatures/file-metadata.js'
import { ClientError, InputError } from '../relay-client/client-error.js'
import { whyUnreadable } from '../values/failures/file-failure.js'
import { openRegularFile, type RegularFile } from './places/regular-file-place.js'

const READ_BYTES = 256 * 1024

/** A file that is open for reading, and is held to what it was when it was hashed. */
export class StableFile {
  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    readonly sizeBytes: number,
    /** The time of the last change; differs also when an older file was moved over it. */
    readonly modifiedAtMs: number
  ) {}

  /**
   * Opens a file. The caller closes it.
   * @param options.name how the caller's user names it, for messages
   * @param options.openFile what opens it, where not just any path is followed
   * @throws {InputError} when it is not there, or no regular file
   */
  static async open(path: string, options: OpenOptions): Promise<StableFile> {
    const { handle, stats } = await openNamed(path, options)
    return new StableFile(path, handle, stats.size, Math.max(stats.mtimeMs, stats.ctimeMs))
  }

  /**
   * Hashes the whole content.
   * @throws {ClientError} when it changes meanwhile, also when it grows for as long as it is read
   * @throws the reason of `signal` once that is aborted
   */
  async hash(algorithm: HashAlgorithm, signal?: AbortSignal): Promise<string> {
    const hash = createHash(algorithm)
    let bytes = 0
    for await (const chunk of this.#read()) {
      signal?.throwIfAborted()
      hash.update(chunk)
      bytes += chunk.length
      if (bytes > this.sizeBytes) throw this.#changed()
    }
    if (bytes !== this.sizeBytes) throw this.#changed()
    return hash.digest('hex')
  }

  /**
   * The content once more. Its hash is compared before the last piece is given away, so that a reader of `sizeBytes`
   * bytes never gets a whole file that is not the hashed one.
   * @throws {ClientError} when it is no longer the content that had `hashValue`
   */
  async *content(algorithm: HashAlgorithm, hashValue: string): AsyncGenerator<Buffer, void> {
    const hash = createHash(algorithm)
    let bytes = 0
    let held: Buffer | undefined
    for await (const chunk of this.#read()) {
      hash.update(chunk)
      bytes += chunk.length
      if (bytes > this.sizeBytes) throw this.#changed()
      if (held !== undefined) yield held
      held = Buffer.from(chunk)
    }
    if (bytes !== this.sizeBytes || hash.digest('hex') !== hashValue) throw this.#changed()
    if (held !== undefined) yield held
  }

  async close(): Promise<void> {
    await this.handle.close()
  }

  async *#read(): AsyncGenerator<Buffer, void> {
    const buffer = Buffer.allocUnsafe(READ_BYTES)
    for (let position = 0; ; ) {
      const { bytesRead } = await this.handle.read(buffer, 0, buffer.length, position)
      if (bytesRead === 0) return
      position += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  }

  #changed(): ClientError {
    return new ClientError(`${this.path} changed while it was read: share it again once it is complete`)
  }
}

interface OpenOptions {
  readonly name: string
  readonly openFile?: (path: string) => Promise<RegularFile>
}

async function openNamed(path: string, { name, openFile = openRegularFile }: OpenOptions): Promise<RegularFile> {
  try {
    return await openFile(path)
  } catch (error) {
    if (error instanceof ClientError) throw error
    throw new InputError(whyUnreadable(name, path, error), { cause: error })
  }
}
