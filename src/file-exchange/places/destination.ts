import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { ClientError } from '../../relay-client/client-error.js'
import { cannotBeWritten, FilePlace, noTemporaryFile } from './file-place.js'
import { type Attributes, NewFile } from './new-file.js'
import { findStream, type OpenStream } from './stream-place.js'
import type { FolderTrust } from './trusted-folder.js'

/** The place of a file that is verified before anything of it is there. To be closed. */
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
  /** The trust that a process needs that may write everywhere. */
  readonly trust?: FolderTrust | undefined
  /** Whether it may be a FIFO or a device. */
  readonly mayStream?: boolean | undefined
}

/** @throws {ClientError} when nothing could be written there */
export async function openDestination(path: string, { trust, mayStream }: DestinationRules): Promise<Destination> {
  const stream = mayStream === true ? await findStream(path) : undefined
  const place = await FilePlace.open(stream === undefined ? path : spoolPath(), trust)
  return {
    isStream: stream !== undefined,
    create: async isPrivate => {
      try {
        const file = await NewFile.create(place, isPrivate || stream !== undefined)
        if (stream !== undefined) await file.unname()
        return file
      } catch (error) {
        throw stream === undefined ? cannotBeWritten(path, error) : noTemporaryFile(error)
      }
    },
    finish: async (file, attributes) => {
      if (stream !== undefined) return empty(file, path, stream)
      try {
        return await file.putInPlace(attributes)
      } catch (error) {
        throw error instanceof ClientError ? error : cannotBeWritten(path, error)
      }
    },
    close: () => place.close()
  }
}

/**
 * The path at which a file for a stream waits until it is verified: what a stream has been given cannot be taken
 * back.
 */
function spoolPath(): string {
  return join(tmpdir(), `treeline-fetch-${randomBytes(6).toString('hex')}`)
}

async function empty(file: NewFile, path: string, openStream: OpenStream): Promise<Stats> {
  try {
    const { writable, mayEnd } = await openStream()
    await pipeline(file.handle.createReadStream({ start: 0, autoClose: false }), writable, { end: mayEnd })
    return await file.handle.stat()
  } catch (error) {
    throw error instanceof ClientError ? error : cannotBeWritten(path, error)
  } finally {
    await file.discard()
  }
}
