import type { Server } from 'node:http'
import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import type { LocalSocket } from './local-socket.js'

const LOOK_EVERY_MS = 5_000

export interface KeptSocketOptions {
  /** The path, for the log. */
  readonly path: string
  /** Opens it. @throws {Error} for a user, also where something else has its place */
  readonly open: () => Promise<LocalSocket>
  readonly logger: Pick<Logger, 'warn' | 'error'>
  /** @default 5,000 */
  readonly everyMs?: number
}

/**
 * Keeps `general.socket` at its path: when it was removed, or its folder was renamed, commands would find no relay until a
 * restart. Connections to the former socket go on.
 */
export class KeptSocket {
  readonly #timer: NodeJS.Timeout
  /** The newest one is last. */
  readonly #sockets: [LocalSocket, ...LocalSocket[]]
  #looking: Promise<string | undefined> | undefined
  #problem: string | undefined
  #isStopped = false

  /** @param first the socket that was opened at the start */
  constructor(
    first: LocalSocket,
    private readonly options: KeptSocketOptions
  ) {
    this.#sockets = [first]
    this.#timer = setInterval(() => void this.look(), options.everyMs ?? LOOK_EVERY_MS).unref()
  }

  /** Looks whether the socket is there, and makes it again. @returns why it cannot be made. Does not reject */
  look(): Promise<string | undefined> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** The servers that have been opened. */
  get servers(): readonly Server[] {
    return this.#sockets.map(({ server }) => server)
  }

  /** Takes no further connections; resolves when all have ended. */
  async close(): Promise<void> {
    this.#isStopped = true
    clearInterval(this.#timer)
    await this.#looking
    const ended = this.#sockets.map(socket => new Promise<void>(resolve => socket.close(resolve)))
    for (const { server } of this.#sockets) server.closeIdleConnections()
    await Promise.all(ended)
  }

  async #look(): Promise<string | undefined> {
    const { path, open, logger } = this.options
    const current = this.#sockets.at(-1) ?? this.#sockets[0]
    if (this.#isStopped || (await current.isThere())) {
      this.#problem = undefined
      return undefined
    }
    try {
      this.#sockets.push(await open())
      this.#problem = undefined
      current.close(() => this.#forget(current))
      logger.warn({ path }, 'the socket was gone; made it again')
    } catch (error) {
      const reason = errorMessage(error)
      if (reason !== this.#problem) logger.error({ path, reason }, 'the socket is gone; trying to make it again')
      this.#problem = reason
    }
    return this.#problem
  }

  /** Lets go of a former one, once its last connection has ended. */
  #forget(former: LocalSocket): void {
    const index = this.#sockets.indexOf(former)
    if (index >= 0 && this.#sockets.length > 1) this.#sockets.splice(index, 1)
  }
}
