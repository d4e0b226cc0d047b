import { randomBytes } from 'node:crypto'
import { constants, fstatSync, type Stats } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { cannotBeWritten, FilePlace, statIfThere } from './file-place.js'
import { type Attributes, NewFile } from './new-file.js'
import type { FolderTrust } from './trusted-folder.js'

/** Where a file goes that is verified before anything of it is there. To be closed. */
export interface Destination {
  /** Whether the file is written to what is there (a FIFO, a device, this command's output) instead of taking its place. */
  readonly isStream: boolean
  /** The file while it is received. */
  create(isPrivate: boolean): Promise<NewFile>
  /** Brings the file to where it goes. @returns what it is there */
  finish(file: NewFile, attributes: Attributes | undefined): Promise<Stats>
  close(): Promise<void>
}

export interface DestinationRules {
  /** For a process that may write everywhere. */
  readonly trust?: FolderTrust | undefined
  /** Whether it may be a FIFO or a device. */
  readonly mayStream?: boolean | undefined
}

/** @throws {CommandError} when nothing could be written there */
export async function openDestination(path: string, { trust, mayStream }: DestinationRules): Promise<Destination> {
  const stream = mayStream === true ? await findStream(path) : undefined
  const place = await FilePlace.open(stream === undefined ? path : spoolPath(), trust)
  return {
    isStream: stream !== undefined,
    create: isPrivate =>
      NewFile.create(place, isPrivate || stream !== undefined).catch((error: unknown) => {
        throw cannotBeWritten(stream === undefined ? path : tmpdir(), error)
      }),
    finish: (file, attributes) => (stream === undefined ? file.putInPlace(attributes) : empty(file, path, stream)),
    close: () => place.close()
  }
}

/** Opens what is there to be written to. */
type OpenStream = () => Promise<{ readonly writable: Writable; readonly mayEnd: boolean }>

async function findStream(path: string): Promise<OpenStream | undefined> {
  const found = await statIfThere(path)
  if (found === undefined) return undefined
  // Opened by its path, a redirected output would be another place in the same file.
  if (isSame(found, fstatSync(1))) return async () => ({ writable: process.stdout, mayEnd: false })
  if (isSame(found, fstatSync(2))) return async () => ({ writable: process.stderr, mayEnd: false })
  if (!isWrittenTo(found)) return undefined
  return async () => {
    const handle = await open(path, constants.O_WRONLY | constants.O_NOCTTY)
    if (isWrittenTo(await handle.stat())) return { writable: handle.createWriteStream(), mayEnd: true }
    await handle.close()
    throw new Error('it was replaced meanwhile')
  }
}

function isWrittenTo(stats: Stats): boolean {
  return stats.isFIFO() || stats.isCharacterDevice() || stats.isBlockDevice()
}

function isSame(one: Stats, other: Stats): boolean {
  return one.dev === other.dev && one.ino === other.ino
}

/** What was written to a stream cannot be taken back: the file waits here until it is verified. */
function spoolPath(): string {
  return join(tmpdir(), `treeline-fetch-${randomBytes(6).toString('hex')}`)
}

async function empty(file: NewFile, path: string, openStream: OpenStream): Promise<Stats> {
  try {
    const { writable, mayEnd } = await openStream()
    await pipeline(file.handle.createReadStream({ start: 0, autoClose: false }), writable, { end: mayEnd })
    return await file.handle.stat()
  } catch (error) {
    throw cannotBeWritten(path, error)
  } finally {
    await file.discard()
  }
}
