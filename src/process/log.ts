import pino, { type Logger } from 'pino'
import type { LogLevel } from '../values/logging/logger.js'
import { LogLevelControl } from './log-control/log-level.js'
import { LogOutput } from './log-output.js'

/** Never written out, wherever in a logged object it stands. */
const SECRET_PATHS = ['password', 'token', 'authorization', 'headers.authorization', 'req.headers.authorization', 'key']

export interface Log {
  readonly logger: Logger
  /** Sets the level of {@link logger}; nothing else may. */
  readonly level: LogLevelControl
  /** How many lines could not be written, since the start: the disk of the log was full, or nobody read it. */
  readonly lostLines: () => number
}

export interface LogOptions {
  readonly level: LogLevel
  /** Members of each line. */
  readonly base: Readonly<Record<string, string>>
}

/**
 * Structured lines on standard output; readable ones when that is a terminal. The process goes on even where they
 * cannot be written.
 */
export async function createLog({ level, base }: LogOptions): Promise<Log> {
  const output = new LogOutput()
  const options = {
    level,
    base,
    redact: { paths: SECRET_PATHS, censor: '[secret]' },
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: showError }
  }
  const logger = pino(options, process.stdout.isTTY ? await forPeople(output) : output)
  output.onRecovery((lines, reason) => {
    logger.warn({ lines, reason }, 'log lines lost: cannot write the log')
  })
  return { logger, level: new LogLevelControl(logger, level), lostLines: () => output.lostLines }
}

/** An error as the log shows it: the message of its cause is added where its own does not have it. */
function showError(error: Error): object {
  const shown = pino.stdSerializers.err(error)
  const cause = error instanceof Error ? error.cause : undefined
  const isTold = cause instanceof Error && error.message.includes(cause.message)
  return isTold ? { ...shown, message: error.message } : shown
}

async function forPeople(output: LogOutput): Promise<{ write(line: string): void }> {
  const { prettyFactory } = await import('pino-pretty')
  const format = prettyFactory({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l', singleLine: true })
  return { write: line => output.write(format(line)) }
}
