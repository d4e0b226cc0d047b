import { lstatSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { answerClientError, serverOptions } from '../api/server-options.js'
import type { Config } from '../config/config.js'
import { MAX_HEADERS_OFF } from '../values/max-headers.js'

/** Its owner and its group may call; the file system keeps everyone else out. */
const SOCKET_UMASK = 0o117

/**
 * Serves the routes at `general.socket`. What a process that has gone left there is replaced; anything else is not.
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
  const server = createServer(serverOptions(config.limits), (request, response) => app.routing(request, response))
  server.maxHeadersCount = MAX_HEADERS_OFF
  server.maxConnections = config.general.maxConnections
  server.on('connection', note)
  server.on('checkContinue', (request, response) => app.routing(request, response))
  server.on('clientError', answerClientError)
  await listen(server, path)
  return server
}

async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket())
    throw new Error(`general.socket: ${path} is there already, and is no socket: choose another path`)
  if (await answers(path)) throw new Error(`general.socket: another process listens at ${path}: is a Treeline running?`)
  rmSync(path)
}

function answers(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
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
