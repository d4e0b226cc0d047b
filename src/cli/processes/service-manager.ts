import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'

const run = promisify(execFile)

/** The limit for a message: `systemd-notify` waits for the service manager to take it, 5 s at most. */
const MESSAGE_LIMIT_MS = 15_000
/** Signs of life within the time after which the service manager takes this process for dead. */
const SIGNS_PER_LIMIT = 3

/** Messages to the service manager that started the process, if one did and wants them (systemd: `Type=notify`). */
export interface ServiceManager {
  ready(): Promise<void>
  reloading(): Promise<void>
  stopping(): Promise<void>
}

const NOBODY: ServiceManager = {
  ready: async () => undefined,
  reloading: async () => undefined,
  stopping: async () => undefined
}

/**
 * Finds the service manager. From then on the event loop gives signs of life, where `WatchdogSec` asks for them: one
 * that stands still gives none.
 *
 * The messages are datagrams to a UNIX socket, which Node cannot send; `systemd-notify`, which is where systemd is,
 * can. It is a process of its own, so the unit needs `NotifyAccess=all`. The variables are taken out of the
 * environment: commands that are started from here must not speak for this process.
 */
export function findServiceManager(logger: Logger, env: NodeJS.ProcessEnv = process.env): ServiceManager {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: limit, WATCHDOG_PID: pid, ...others } = env
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name]
  if (socket === undefined || socket === '') return NOBODY
  const sender = new Sender(logger, { ...others, NOTIFY_SOCKET: socket })
  const limitMs = Number(limit ?? 0) / 1_000
  const isMeant = pid === undefined || pid === String(process.pid)
  if (isMeant && limitMs >= SIGNS_PER_LIMIT) {
    setInterval(() => void sender.signOfLife(), limitMs / SIGNS_PER_LIMIT).unref() // never rejects
  }
  return {
    ready: () => sender.send('READY=1'),
    reloading: () => sender.send('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`),
    stopping: () => sender.send('STOPPING=1')
  }
}

/** Sends one message after the other: a later state must not be overtaken by an earlier one. */
class Sender {
  #last: Promise<void> = Promise.resolve()
  #isSigning = false
  #hasFailed = false

  constructor(
    private readonly logger: Logger,
    private readonly env: NodeJS.ProcessEnv
  ) {}

  /** Never rejects. */
  send(...state: string[]): Promise<void> {
    this.#last = this.#last.then(() => this.#run(state))
    return this.#last
  }

  async signOfLife(): Promise<void> {
    if (this.#isSigning) return
    this.#isSigning = true
    await this.#run(['WATCHDOG=1'])
    this.#isSigning = false
  }

  async #run(state: readonly string[]): Promise<void> {
    try {
      await run('systemd-notify', state, { env: this.env, timeout: MESSAGE_LIMIT_MS })
    } catch (error) {
      if (this.#hasFailed) return
      this.#hasFailed = true
      const reason = errorMessage(error)
      this.logger.error(
        { state, reason },
        'cannot notify the service manager, which may end this process (a unit with Type=exec needs no notification)'
      )
    }
  }
}
