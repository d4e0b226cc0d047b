/** The part of pino that the lower layers use, so that they need not know where logs go. */
export interface Logger {
  error(details: object, message: string): void
  warn(details: object, message: string): void
  info(details: object, message: string): void
  debug(details: object, message: string): void
}

/** The severities from which on lines can be logged, the gravest first. */
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const

/** The severity from which on lines are logged. */
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Drops everything. For tests, and for commands that speak to the terminal themselves. */
export const silentLogger: Logger = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined
}
