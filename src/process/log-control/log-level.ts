import { LOG_LEVELS, type Logger, type LogLevel } from '../../values/logging/logger.js'
import { formatDuration } from '../../values/time/duration.js'

/** The time after which a level that `treeline log` set is reset, unless the command says another, in ms. */
export const DEFAULT_LEVEL_TTL_MS = 10 * 60_000
/** The longest such time, in ms. */
export const MAX_LEVEL_TTL_MS = 24 * 3_600_000
/** The shortest such time, in ms. */
export const MIN_LEVEL_TTL_MS = 1_000

/** The part of pino's logger that sets the level. */
export type LeveledLogger = Pick<Logger, 'info'> & { level: string }

/** The level of a log, as `treeline log` shows it. */
export interface LogSetting {
  readonly level: LogLevel
  /** The time until the level is reset, in ms; undefined where it is the configured one. */
  readonly ttlMs: number | undefined
}

interface TemporaryLevel {
  readonly level: LogLevel
  /** When it ends, by the clock of `performance.now()`. */
  readonly endMs: number
  readonly timer: NodeJS.Timeout
}

/** The level of a log: the configured one or, for a while, another. A reload changes the configured one alone. */
export class LogLevelControl {
  #temporary: TemporaryLevel | undefined

  /** @param configured the level that `logger` has */
  constructor(
    private readonly logger: LeveledLogger,
    private configured: LogLevel
  ) {}

  /** Takes another level from the configuration. It counts at once, or when the temporary one ends. */
  configure(level: LogLevel): void {
    this.configured = level
    if (this.#temporary === undefined) this.logger.level = level
  }

  /**
   * Sets a level for a while, in place of any temporary one.
   * @param level undefined keeps the present one
   * @param ttlMs {@link MIN_LEVEL_TTL_MS} to {@link MAX_LEVEL_TTL_MS}
   */
  set(level: LogLevel | undefined, ttlMs: number, nowMs = performance.now()): void {
    clearTimeout(this.#temporary?.timer)
    const timer = setTimeout(() => this.reset(), ttlMs).unref()
    const temporary = { level: level ?? this.current(nowMs).level, endMs: nowMs + ttlMs, timer }
    this.#temporary = temporary
    this.#change(temporary.level, { level: temporary.level, ttl: formatDuration(ttlMs) }, 'log level set for a while')
  }

  /** Goes back to the configured level. */
  reset(): void {
    if (this.#temporary === undefined) return
    clearTimeout(this.#temporary.timer)
    this.#temporary = undefined
    this.#change(this.configured, { level: this.configured }, 'log level reset')
  }

  /** The level in force. */
  current(nowMs = performance.now()): LogSetting {
    if (this.#temporary === undefined) return { level: this.configured, ttlMs: undefined }
    return { level: this.#temporary.level, ttlMs: Math.max(0, this.#temporary.endMs - nowMs) }
  }

  /** Logs the change while the more talkative of both levels is in force, so that the log shows where lines begin and end. */
  #change(level: LogLevel, details: object, message: string): void {
    const isQuieter = LOG_LEVELS.findIndex(each => each === this.logger.level) > LOG_LEVELS.indexOf(level)
    if (isQuieter) this.logger.info(details, message)
    this.logger.level = level
    if (!isQuieter) this.logger.info(details, message)
  }
}
