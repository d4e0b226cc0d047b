import { lstatSync, rmSync, type Stats } from 'node:fs'
import { link, rename, unlink } from 'node:fs/promises'
import type { Server } from 'node:http'
import { basename } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { createPlainServer } from '../../api/http-server-options.js'
import type { Config } from '../../config/config.js'
import { isSameFile } from '../../file-system/files/file-identity.js'
import { findItself } from '../../file-system/files/if-there.js'
import { BOUND_SUFFIX, lookAtSocket, openSocketFolder } from '../../file-system/files/socket-place.js'
import type { HeldFolder } from '../../file-system/folders/held-folder.js'
import { isRootOnLinux } from '../../file-system/permissions/root.js'
import { errorCode, errorMessage } from '../../values/failures/system-error.js'
import { serveUpgrades } from './upgrades.js'

/** The mask that lets the socket's owner and group call; the file system keeps everyone else out. */
const SOCKET_UMASK = 0o117

/** A server at `general.socket`. */
export interface LocalSocket {
  readonly server: Server
  /** Tells whether the path leads to this socket still. Does not reject. */
  isThere(): Promise<boolean>
  /** Takes no further connections. What has the socket's place meanwhile stays. @param done called once the last has ended */
  close(done?: () => void): void
}

/** The errors of file systems without second names. */
const NO_LINKS: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']

/**
 * Serves the routes at `general.socket`. A socket that a former process left there is replaced; anything else is not.
 * @param note called with each connection: their callers are local
 * @throws {Error} that names the setting, when it cannot listen there
 */
export async function openLocalSocket(
  app: FastifyInstance,
  config: Config,
  path: string,
  maxConnections: number,
  note: (socket: object) => void
): Promise<LocalSocket> {
  const folder = await openSocketFolder(path)
  try {
    await removeStale(folder, basename(path), path)
    const server = createPlainServer(config.limits, (request, response) => app.routing(request, response))
    server.maxConnections = maxConnections
    server.on('connection', note)
    serveUpgrades(server, 'connection', undefined)
    const own = await listen(server, folder, path)
    let isClosed = false
    return {
      server,
      isThere: async () => isSameFile(own, await findItself(path).catch(() => undefined)),
      close: done => {
        server.close(done)
        if (isClosed) return
        isClosed = true
        removeOwn(folder.at(basename(path)), own)
        void folder.close().catch(() => undefined)
      }
    }
  } catch (error) {
    await folder.close()
    throw error
  }
}

/** Removes it through a folder that is held open, so that what was looked at is what goes. */
async function removeStale(folder: HeldFolder, name: string, path: string): Promise<void> {
  const found = await lookAtSocket(folder, name, path)
  if (found === 'listened')
    throw new Error(`general.socket: another process listens at ${path}: is a Treeline running?`)
  if (found === 'stale') rmSync(folder.at(name))
}

/**
 * Binds the socket to a name beside the path, which the system removes when it is closed, whoever has it then; so it gets
 * its own name as a second one, which is never another's.
 * @returns the socket as it is in the folder
 */
async function listen(server: Server, folder: HeldFolder, path: string): Promise<Stats> {
  const name = basename(path)
  const bound = `${name}${BOUND_SUFFIX}`
  await removeStale(folder, bound, `${path}${BOUND_SUFFIX}`)
  await bind(server, folder, path)
  try {
    const own = await folder.find(bound)
    if (own === undefined) throw new Error('it was removed at once')
    await giveName(folder, bound, name)
    return own
  } catch (error) {
    server.close()
    throw new Error(`general.socket: cannot listen at ${path}: ${errorMessage(folder.named(error))}`, { cause: error })
  }
}

async function giveName(folder: HeldFolder, bound: string, name: string): Promise<void> {
  try {
    await link(folder.at(bound), folder.at(name))
    await unlink(folder.at(bound))
  } catch (error) {
    if (!NO_LINKS.includes(errorCode(error) ?? '') || (await folder.find(name)) !== undefined) throw error
    await rename(folder.at(bound), folder.at(name))
  }
}

/**
 * Binds the socket within this call, with its mode: a `chmod` afterwards could change what someone else put there. Root
 * binds it in the folder that was looked at, whatever has its path now. Others bind the path itself, which tools such as
 * `ss` then show.
 */
function bind(server: Server, folder: HeldFolder, path: string): Promise<void> {
  const place = `${isRootOnLinux() ? folder.at(basename(path)) : path}${BOUND_SUFFIX}`
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      const why = error.message.replaceAll(place, path)
      reject(new Error(`general.socket: cannot listen at ${path}: ${why}`, { cause: error }))
    }
    server.once('error', failed)
    const before = process.umask(SOCKET_UMASK)
    try {
      server.listen(place, () => {
        server.off('error', failed)
        resolve()
      })
    } finally {
      process.umask(before)
    }
  })
}

/** Removes a socket, unless something else has its place. */
function removeOwn(path: string, own: Stats): void {
  try {
    if (isSameFile(own, lstatSync(path))) rmSync(path)
  } catch {
    // it is gone, or stays: a start replaces it
  }
}
