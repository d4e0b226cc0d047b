import { type LogSocketOptions, openLogSocket } from '../../process/log-control/log-socket.js'
import { onHangup } from '../../process/signals/hangup.js'
import { askStop, isStopAsked, stopAsked } from '../../process/signals/stop-signal.js'
import type { OwnFolder } from '../../storage/folders/folder-kinds.js'
import { takeFolders } from '../../storage/folders/own-folder.js'
import type { Logger } from '../../values/logging/logger.js'
import type { ServiceManager } from './service-manager.js'

/** The time after its stop in which a process ends by itself. */
const LINGER_MS = 5_000

const LONGEST_TIMER_MS = 2 ** 31 - 1

/** A relay, an agent or a client that has started. */
export interface StartedProgram {
  /** The log line that says so. */
  readonly started: { readonly message: 'ready' | 'started'; readonly details: object }
  /** Does what a SIGHUP asks for. Logs what goes wrong, and never rejects. */
  reload(): Promise<void>
  /** Resolves when nothing runs any more. */
  stop(): Promise<void>
}

export interface ServeUntilStoppedOptions {
  /** The process as `treeline log` shows it, and its level. */
  readonly process: Omit<LogSocketOptions, 'logger'>
  readonly logger: Logger
  readonly manager: ServiceManager
  /** The log line after SIGTERM: it says what may still finish. */
  readonly stoppingMessage: string
  /** Why the process has to end by itself. */
  readonly failure?: () => Error | undefined
}

/** Says that `program` is ready, reloads it on SIGHUP, and stops it on SIGTERM or SIGINT. */
export async function serveUntilStopped(
  program: StartedProgram,
  { process: own, logger, manager, stoppingMessage, failure = () => undefined }: ServeUntilStoppedOptions
): Promise<void> {
  let closeLogSocket: () => void = () => undefined
  if (!isStopAsked()) {
    closeLogSocket = await openLogSocket({ ...own, logger })
    logger.info(program.started.details, program.started.message)
    await manager.ready()
    onHangup(async () => {
      await manager.reloading()
      await program.reload()
      await manager.ready()
    })
  }
  const alive = setInterval(() => undefined, LONGEST_TIMER_MS) // an agent without a link has nothing else that keeps it
  const signal = await stopAsked()
  clearInterval(alive)
  onHangup(async () => undefined)
  void manager.stopping() // never rejects
  const reason = failure()?.message
  if (reason !== undefined) {
    logger.error({ reason }, 'lock file removed, and another process holds the lock now; stopping')
  }
  logger.info({ signal }, stoppingMessage)
  await program.stop()
  closeLogSocket()
  logger.info({}, 'stopped')
  endSoon()
}

/** Ends the process where something that was forgotten goes on: whoever waits for its end was told that it has stopped. */
function endSoon(): void {
  setTimeout(() => process.exit(), LINGER_MS).unref()
}

/** Folders that this process alone may use. */
export interface HeldFolders {
  /** Set once another process has taken a lock; this process is asked to stop then. */
  readonly lost: Error | undefined
  release(): void
}

/** Takes the locks of `folders`. @throws {Error} naming the folder that another process has */
export function holdFolders(nodeId: string, folders: readonly OwnFolder[]): HeldFolders {
  let lost: Error | undefined
  const release = takeFolders(nodeId, folders, error => {
    lost = error
    askStop()
  })
  return {
    get lost() {
      return lost
    },
    release
  }
}
