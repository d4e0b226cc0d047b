import { rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { errorCode, errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { readControlLine } from './control-line.js'
import { type LevelAnswer, type LevelRequest, readLevelAnswer, readLevelRequest } from './control-messages.js'
import { DEFAULT_LEVEL_TTL_MS, type LogLevelControl } from './log-level.js'
import { checkRunFolder, type FoundProcessSocket, findProcessSockets, newSocketPath, runFolder } from './run-folder.js'

/** The mask that lets the user of the process alone connect. */
const OWNER_ONLY_UMASK = 0o177
const MAX_CONNECTIONS = 16
/** The age from which on a socket that refuses has no process. A younger one may be between its two steps of opening. */
const STALE_AFTER_MS = 10_000

export interface LogSocketOptions {
  /** The kind of the process, for those who have several. */
  readonly kind: 'relay' | 'agent' | 'client'
  /** The node id, or the client key. */
  readonly name: string
  readonly level: LogLevelControl
  readonly logger: Pick<Logger, 'warn' | 'debug'>
}

/**
 * Opens the socket at which `treeline log` reaches this process. Where it cannot, it warns: nothing else depends on it.
 * @returns what closes it
 */
export async function openLogSocket(options: LogSocketOptions): Promise<() => void> {
  try {
    const folder = runFolder()
    checkRunFolder(folder)
    await removeStaleSockets(folder)
    const path = newSocketPath(folder)
    const server = await listen(path, options)
    return () => {
      server.close() // removes the socket
    }
  } catch (error) {
    options.logger.warn({ reason: errorMessage(error) }, 'no socket for treeline log')
    return () => undefined
  }
}

function listen(path: string, options: LogSocketOptions): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, socket => void serve(socket, options))
  server.maxConnections = MAX_CONNECTIONS
  server.unref()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    const before = process.umask(OWNER_ONLY_UMASK) // the socket is bound within this call
    try {
      server.listen(path, () => {
        server.off('error', reject)
        server.on('error', error => options.logger.debug({ err: error }, 'a connection of `treeline log` failed'))
        resolve(server)
      })
    } finally {
      process.umask(before)
    }
  })
}

/** Answers one request. Never rejects. */
async function serve(socket: Socket, { kind, name, level, logger }: LogSocketOptions): Promise<void> {
  socket.unref().on('error', error => logger.debug({ err: error }, 'a connection of `treeline log` failed'))
  try {
    const request = readLevelRequest(await readControlLine(socket))
    if (request.level !== undefined || request.ttl_ms !== undefined) {
      level.set(request.level, request.ttl_ms ?? DEFAULT_LEVEL_TTL_MS)
    }
    const { level: current, ttlMs } = level.current()
    const answer: LevelAnswer = { kind, name, level: current, ttl_ms: ttlMs }
    socket.end(`${JSON.stringify(answer)}\n`)
  } catch (error) {
    socket.end(`${JSON.stringify({ error: errorMessage(error) })}\n`)
  }
}

/**
 * Asks the process of a socket for its level, or sets it.
 * @throws {Error} where it does not answer; with the code ECONNREFUSED where the process has gone
 */
export async function askForLevel(path: string, request: LevelRequest): Promise<LevelAnswer> {
  const socket = connect(path)
  try {
    socket.write(`${JSON.stringify(request)}\n`)
    return readLevelAnswer(await readControlLine(socket))
  } finally {
    socket.destroy()
  }
}

/** Removes the sockets of this user whose process has gone. */
async function removeStaleSockets(folder: string): Promise<void> {
  for (const socket of findProcessSockets(folder)) {
    if (socket.uid !== process.geteuid?.() || isRunning(socket.pid)) continue
    await askForLevel(socket.path, {}).catch((error: unknown) => removeIfStale(socket, error))
  }
}

/**
 * Removes a socket that refused a connection, unless it was made just now.
 * @param error of the connection
 * @returns whether no process listens there
 */
export function removeIfStale({ path, madeAtMs }: FoundProcessSocket, error: unknown, nowMs = Date.now()): boolean {
  if (errorCode(error) !== 'ECONNREFUSED') return errorCode(error) === 'ENOENT'
  if (nowMs - madeAtMs > STALE_AFTER_MS) rmSync(path, { force: true })
  return true
}

/** Whether there is a process of that id. In a folder that containers share it may be another one. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errorCode(error) !== 'ESRCH'
  }
}
