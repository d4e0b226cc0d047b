import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFile,
  readFileSync,
  readSync,
  type Stats,
  statSync,
  writeSync
} from 'node:fs'
import { stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { openUnmisled } from './foreign-links.js'

const { O_NOCTTY, O_NONBLOCK, O_RDONLY } = constants

/** The flags for opening. Opening a FIFO for reading waits for its writer; a file has nothing to wait for. */
const FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY

const PIECE_BYTES = 1024 * 1024

const readWhole = promisify(readFile)

/**
 * Reads a file that the configuration names, or that a relay made: a regular one alone. A FIFO in its place would stop
 * the process, or keep one of its few threads for files, until someone writes to it. Root is not led by a link of
 * another user to what they may not read.
 * @throws {Error} of the system when it cannot be read, or saying what it is instead, for `whyNotRead`
 */
export async function readRegularFile(path: string): Promise<Buffer> {
  refuseOther(await stat(path)) // a device may do something when it is opened
  const fd = openUnmisled(path, FLAGS)
  try {
    refuseOther(fstatSync(fd)) // it may have been replaced meanwhile
    return await readWhole(fd)
  } finally {
    closeSync(fd)
  }
}

/** Reads a file as {@link readRegularFile} does, or a pipe to its end, as a shell names one for `<(…)`. */
export async function readFileOrPipe(path: string): Promise<Buffer> {
  return (await stat(path)).isFile() ? readRegularFile(path) : readWhole(path)
}

/**
 * Reads a regular file as {@link readRegularFile} does, synchronously.
 * @param judge called with the descriptor before anything is read; throws to refuse the file
 */
export function readRegularFileSync(path: string, judge?: (fd: number) => void): Buffer {
  return withRegularFile(path, fd => {
    judge?.(fd)
    return readFileSync(fd)
  })
}

/** Reads the first `length` bytes of a regular file, or all of a shorter one, as {@link readRegularFileSync} does. */
export function readStartSync(path: string, length: number): Buffer {
  return withRegularFile(path, fd => {
    const start = Buffer.alloc(length)
    return start.subarray(0, readSync(fd, start))
  })
}

/** Copies a regular file, read as {@link readRegularFileSync} does, into a new one, for this user alone. */
export function copyRegularFileSync(path: string, to: string): void {
  withRegularFile(path, from => {
    const target = openSync(to, 'wx', 0o600)
    try {
      const piece = Buffer.alloc(PIECE_BYTES)
      for (let read = readSync(from, piece); read > 0; read = readSync(from, piece)) {
        for (let written = 0; written < read; ) written += writeSync(target, piece, written, read - written)
      }
    } finally {
      closeSync(target)
    }
  })
}

function withRegularFile<T>(path: string, use: (fd: number) => T): T {
  refuseOther(statSync(path))
  const fd = openUnmisled(path, FLAGS)
  try {
    refuseOther(fstatSync(fd))
    return use(fd)
  } finally {
    closeSync(fd)
  }
}

/** The kind of a file, as a message says it. */
export function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a folder'
  if (stats.isFIFO()) return 'a FIFO'
  if (stats.isSocket()) return 'a socket'
  if (stats.isSymbolicLink()) return 'a symbolic link'
  return stats.isFile() ? 'a file' : 'a device'
}

function refuseOther(found: Stats): void {
  if (!found.isFile()) throw new Error(`it is ${kindOf(found)}; name a file`)
}
