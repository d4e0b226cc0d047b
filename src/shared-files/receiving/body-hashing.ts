import { createHash } from 'node:crypto'
import { countStreamed } from '../../process/pacing/buffer-collection.js'
import type { Reservation } from '../keeping/quota.js'
import type { SpoolFile } from '../keeping/spool-file.js'
import type { BodyReader } from './body-reader.js'

/** A body up to here stays in memory until it is known to be good: a forged one costs no disk, a good one one write. */
const IN_MEMORY_BYTES = 64 * 1024

/** The bytes that are written at once. While one such piece is being written, the next is received. */
const WRITE_BYTES = 256 * 1024

/** A file's bytes, all of them received. */
export interface ReceivedBytes {
  readonly sizeBytes: number
  readonly hash: Buffer
  /** The whole file, when it is small and not written yet; undefined when it is in the incoming file. */
  readonly inMemory: Buffer | undefined
}

/**
 * Reads a body to its end into `file`, hashing it on the way. Memory does not grow with its size.
 * @param first what came with the metadata
 */
export async function hashBody(
  reader: BodyReader,
  first: Buffer | undefined,
  algorithm: string,
  file: SpoolFile,
  room: Reservation
): Promise<ReceivedBytes> {
  const hash = createHash(algorithm)
  let sizeBytes = 0
  let waiting: Buffer[] = []
  let waitingBytes = 0
  let isWritten = false
  let writing: Promise<void> = Promise.resolve()

  async function writeWaiting(): Promise<void> {
    await writing
    const chunks = waiting
    waiting = []
    waitingBytes = 0
    isWritten = true
    writing = file.append(chunks)
    writing.catch(() => undefined) // whoever waits for it hears of it; it may fail while the sender is slow
  }

  try {
    for (let chunk = first ?? (await reader.next()); chunk !== undefined; chunk = await reader.next()) {
      if (chunk.length === 0) continue
      hash.update(chunk)
      sizeBytes += chunk.length
      countStreamed(chunk.length)
      room.grow(sizeBytes)
      waiting.push(chunk)
      waitingBytes += chunk.length
      if (waitingBytes >= WRITE_BYTES) await writeWaiting()
    }
    if (!isWritten && sizeBytes <= IN_MEMORY_BYTES) {
      return { sizeBytes, hash: hash.digest(), inMemory: Buffer.concat(waiting) }
    }
    await writeWaiting()
    return { sizeBytes, hash: hash.digest(), inMemory: undefined }
  } finally {
    await writing
  }
}
