import { existsSync, lstatSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { createPlainServer } from '../../api/http-server-options.js'
import type { Config } from '../../config/config.js'
import { serveUpgrades } from './upgrades.js'

/** The mask that lets the socket's owner and group call; the file system keeps everyone else out. */
const SOCKET_UMASK = 0o117

/**
 * Serves the routes at `general.socket`. A socket that a former process left there is replaced; anything else is not.
 * @param note called with each connection: their callers are local
 * @throws {Error} that names the setting, when it cannot listen there
 */
export async function openLocalSocket(
  app: FastifyInstance,
  config: Config,
  path: string,
  note: (socket: object) => void
): Promise<Server> {
  await removeStale(path)
  const server = createPlainServer(config.limits, (request, response) => app.routing(request, response))
  server.maxConnections = config.general.maxConnections
  server.on('connection', note)
  serveUpgrades(server, 'connection', undefined)
  await listen(server, path)
  return server
}

async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) {
    if (existsSync(dirname(path))) return
    throw new Error(`general.socket: the folder of ${path} is not there: make it, for the user of the relay`)
  }
  if (!found.isSocket())
    throw new Error(`general.socket: ${path} is there already, and is no socket: choose another path`)
  const code = await connectionError(path)
  if (code === undefined || code === 'EAGAIN')
    throw new Error(`general.socket: another process listens at ${path}: is a Treeline running?`)
  if (code === 'ECONNREFUSED') rmSync(path)
  else if (code !== 'ENOENT')
    throw new Error(`general.socket: whether a process listens at ${path} cannot be told (${code}): remove it`)
}

/**
 * The code of the error at connecting to a socket; undefined where somebody listens. A socket that refuses has no
 * listener; one that is too busy has no place left, and one of others may not be asked.
 */
function connectionError(path: string): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(undefined)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}

/** The socket is bound within this call, with its mode: a `chmod` afterwards could change what someone else put there. */
function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(new Error(`general.socket: cannot listen at ${path}: ${error.message}`))
    server.once('error', failed)
    const before = process.umask(SOCKET_UMASK)
    try {
      server.listen(path, () => {
        server.off('error', failed)
        resolve()
      })
    } finally {
      process.umask(before)
    }
  })
}
