import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats, statSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'

const { O_NOCTTY, O_NONBLOCK, O_RDONLY } = constants

/** The flags for opening. Opening a FIFO for reading waits for its writer; a file has nothing to wait for. */
const FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY

/**
 * Reads a file that the configuration names, or that a relay made: a regular one alone. A FIFO in its place would stop
 * the process, or keep one of its few threads for files, until someone writes to it.
 * @throws {Error} of the system when it cannot be read, or saying what it is instead, for `whyNotRead`
 */
export async function readRegularFile(path: string): Promise<Buffer> {
  refuseOther(await stat(path)) // a device may do something when it is opened
  const handle = await open(path, FLAGS)
  try {
    refuseOther(await handle.stat()) // it may have been replaced meanwhile
    return await handle.readFile()
  } finally {
    await handle.close()
  }
}

/** Reads a regular file as {@link readRegularFile} does, synchronously. */
export function readRegularFileSync(path: string): Buffer {
  refuseOther(statSync(path))
  const fd = openSync(path, FLAGS)
  try {
    refuseOther(fstatSync(fd))
    return readFileSync(fd)
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
