import type { AgentConfig, ReceiveConfig } from '../../config/agent/agent-config.js'
import { Command, type CommandEnd } from '../../remote-run/execution/command.js'
import type { Logger } from '../../values/logging/logger.js'
import { isoTime } from '../../values/time/iso-time.js'
import { settledWithin } from '../../values/time/settled-within.js'

export interface FileCommandsOptions {
  readonly config: AgentConfig
  readonly logger: Logger
  /** The time for which other files wait for a command. @default 10,000 */
  readonly turnMs?: number | undefined
  /** Called when a command has ended for which no other file waited any more. */
  readonly onLateEnd?: ((entry: ReceiveConfig) => void) | undefined
}

const COMMAND_TURN_MS = 10_000
const KILL_GRACE_MS = 5_000
/** The part of a command's output that the log gets. */
const MAX_OUTPUT_CHARS = 4_000

/**
 * Runs the commands of received files, one at a time for each destination. Other files wait for a command for a moment, so
 * that those of a fleet's configuration come one after another; one that hangs does not hold them up.
 */
export class FileCommands {
  readonly #running = new Set<Command>()
  /** The command for each destination, and its start, as a user reads it, until its end is recorded. */
  readonly #busy = new Map<string, string>()
  readonly #finishing = new Set<Promise<void>>()
  #isStopped = false

  constructor(private readonly options: FileCommandsOptions) {}

  /** The command that runs for a destination, and its start, as a user reads it. */
  runningAt(destination: string): string | undefined {
    return this.#busy.get(destination)
  }

  /**
   * Runs the command of a file that is in place. None may run for that destination.
   * @param onEnd called when it has ended, unless it was stopped
   * @returns once it has ended, or its turn is over @throws {Error} of `onEnd` within its turn
   */
  async run(entry: ReceiveConfig, command: readonly [string, ...string[]], onEnd: () => Promise<void>): Promise<void> {
    const { turnMs = COMMAND_TURN_MS, onLateEnd, logger } = this.options
    const { source, fileId } = entry
    const finished = this.#finish(entry, command, onEnd)
    const quiet = finished.catch(() => undefined) // a failure to record it is told at the next look, which writes it again
    this.#finishing.add(quiet)
    void quiet.then(() => this.#finishing.delete(quiet))
    if (await settledWithin(finished, turnMs)) return
    logger.warn({ source, fileId, command: command[0] }, 'command of a received file still runs; other files go on')
    void quiet.then(() => onLateEnd?.(entry))
  }

  /** Ends the commands that run; they are run again at the next start. */
  stop(): void {
    this.#isStopped = true
    for (const command of this.#running) command.stop()
  }

  /** Resolves when none runs any more. */
  async ended(): Promise<void> {
    await Promise.all(this.#finishing)
  }

  async #finish(
    entry: ReceiveConfig,
    command: readonly [string, ...string[]],
    onEnd: () => Promise<void>
  ): Promise<void> {
    if (this.#isStopped) return
    this.#busy.set(entry.destination, `its command ${command[0]} has run since ${isoTime(Date.now())}`)
    try {
      await this.#runToEnd(entry, command)
      if (!this.#isStopped) await onEnd()
    } finally {
      this.#busy.delete(entry.destination)
    }
  }

  async #runToEnd({ source, fileId }: ReceiveConfig, [file, ...args]: readonly [string, ...string[]]): Promise<void> {
    const { config, logger } = this.options
    let output = ''
    const command = new Command({
      file,
      args,
      timeoutMs: config.agent.timeoutMs,
      killGraceMs: KILL_GRACE_MS,
      onOutput: (_stream, lines) => {
        if (output.length < MAX_OUTPUT_CHARS) output = (output + lines).slice(0, MAX_OUTPUT_CHARS)
      },
      onStarted: () => undefined
    })
    this.#running.add(command)
    const end = await command.ended
    this.#running.delete(command)
    const details = { source, fileId, command: file, output: output.trimEnd() }
    const problem = problemOf(end)
    if (problem === undefined) logger.info(details, 'command of a received file finished')
    else logger.error({ ...details, problem }, 'file received, but its command failed')
  }
}

function problemOf(end: CommandEnd): string | undefined {
  if (end.kind === 'failed' || end.kind === 'lost') return end.reason
  if (end.kind !== 'exited') return end.kind.replace('_', ' ')
  if (end.exitCode === 0) return undefined
  return end.signal === null ? `exit code ${end.exitCode}` : `ended by ${end.signal}`
}
