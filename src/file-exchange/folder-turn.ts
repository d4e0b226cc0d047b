import { once } from 'node:events'
import { lstatSync, rmSync, type Stats } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { isSameFile } from '../file-system/files/file-identity.js'
import type { HeldFolder } from '../file-system/folders/held-folder.js'
import { ClientError } from '../relay-client/client-error.js'
import { errorCode } from '../values/failures/system-error.js'

/** The wait where the system does not tell of the other's end, or the other may only begin. */
const LOOK_EVERY_MS = 200
/** The mask that leaves the socket to its owner. */
const UMASK = 0o177

export interface TurnOptions {
  /** The name of the sign, for those who take turns at one thing. */
  readonly name: string
  /** The name of their work, for messages. */
  readonly work: string
  readonly limitMs: number
  readonly signal: AbortSignal
  /** Called once when another process has the turn. */
  readonly onWait: () => void
}

/** A connection to the process that has the turn; `none` listens there, or it may not be asked. */
type Holder = Socket | 'none' | 'unknown'

/**
 * Waits until no other process has the turn in a folder, and takes it. The sign of it is a socket in the folder, which
 * the system closes when its process ends, however it ends. Where none can be made, there are no turns.
 * @returns gives the turn to the next process
 * @throws {ClientError} when another process keeps it beyond the limit @throws the reason of the signal
 */
export async function takeTurn(folder: HeldFolder, options: TurnOptions): Promise<() => void> {
  const { name, work, limitMs, signal, onWait } = options
  const endMs = performance.now() + limitMs
  let isWaiting = false
  let refusing: Stats | undefined
  for (;;) {
    signal.throwIfAborted()
    const made = await makeSign(folder.at(name))
    if (made !== 'taken') return made
    const found = await folder.find(name)
    if (found === undefined) continue
    if (!found.isSocket()) {
      throw new ClientError(`${folder.path}/${name} is no socket, which is made there for ${work}: move it away`)
    }
    const holder = await findHolder(folder.at(name))
    if (holder === 'none') {
      // one that has its name already may not listen yet: it is looked at twice
      if (isSame(refusing, found)) removeSame(folder.at(name), found)
      else await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined)
      refusing = found
      continue
    }
    if (!isWaiting) onWait()
    isWaiting = true
    await untilEnded(holder, endMs, signal)
    if (performance.now() >= endMs) {
      const seconds = Math.round(limitMs / 1_000)
      throw new ClientError(
        `another ${work} has been under way in ${folder.path} for ${seconds} s: end it, or wait for it`
      )
    }
  }
}

/** @returns `taken` where there is one already */
async function makeSign(path: string): Promise<'taken' | (() => void)> {
  const waiting = new Set<Socket>()
  const server = createServer(socket => {
    waiting.add(socket.on('error', () => undefined).resume())
    socket.once('close', () => waiting.delete(socket))
  })
  try {
    await listen(server, path)
  } catch (error) {
    return errorCode(error) === 'EADDRINUSE' ? 'taken' : () => undefined
  }
  server.unref()
  return () => {
    server.close() // and with it goes the name
    for (const socket of waiting) socket.destroy()
  }
}

async function listen(server: Server, path: string): Promise<void> {
  const listening = once(server, 'listening')
  const before = process.umask(UMASK)
  try {
    server.listen(path)
  } finally {
    process.umask(before)
  }
  await listening
}

async function findHolder(path: string): Promise<Holder> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return socket
  } catch (error) {
    return errorCode(error) === 'ECONNREFUSED' ? 'none' : 'unknown'
  }
}

/** Removes what an ended process left, unless another one has taken its place. */
function removeSame(path: string, found: Stats): void {
  if (isSame(lstatSync(path, { throwIfNoEntry: false }), found)) rmSync(path, { force: true })
}

/** Whether both are one file. The next one often has the number of one that was removed. */
function isSame(one: Stats | undefined, other: Stats): boolean {
  return one !== undefined && isSameFile(other, one) && one.ctimeMs === other.ctimeMs
}

async function untilEnded(holder: Exclude<Holder, 'none'>, endMs: number, signal: AbortSignal): Promise<void> {
  const leftMs = Math.max(1, endMs - performance.now())
  if (holder === 'unknown') {
    await sleep(Math.min(LOOK_EVERY_MS, leftMs), undefined, { signal }).catch(() => undefined)
    return
  }
  const limit = setTimeout(() => holder.destroy(), leftMs)
  const end = () => holder.destroy()
  signal.addEventListener('abort', end, { once: true })
  try {
    holder.on('error', () => undefined).resume()
    if (signal.aborted) holder.destroy()
    if (!holder.closed) await once(holder, 'close')
  } finally {
    clearTimeout(limit)
    signal.removeEventListener('abort', end)
  }
}
