import { errorMessage } from '../../values/failures/system-error.js'
import { LOG_LEVELS, type LogLevel } from '../../values/logging/logger.js'
import { MAX_LEVEL_TTL_MS, MIN_LEVEL_TTL_MS } from './log-level.js'

/** The longest line of either side, in bytes. */
export const MAX_CONTROL_LINE_BYTES = 4 * 1024

/** A request of `treeline log` to a process: one line of JSON. Without members it asks for the setting. */
export interface LevelRequest {
  readonly level?: LogLevel | undefined
  readonly ttl_ms?: number | undefined
}

/** The answer of the process: one line of JSON. */
export interface LevelAnswer {
  /** The kind of the process: `relay`, `agent` or `client`. */
  readonly kind: string
  /** The node id, or the client key. */
  readonly name: string
  readonly level: LogLevel
  readonly ttl_ms?: number | undefined
}

/** @throws {Error} for anything else */
export function readLevelRequest(line: string): LevelRequest {
  const { level, ttl_ms: ttlMs } = readObject(line)
  if (level !== undefined && !isLevel(level)) throw new Error('level: expected one of the levels')
  if (ttlMs === undefined) return { level }
  const isTtl = typeof ttlMs === 'number' && ttlMs >= MIN_LEVEL_TTL_MS && ttlMs <= MAX_LEVEL_TTL_MS
  if (!isTtl) throw new Error(`ttl_ms: expected a number from ${MIN_LEVEL_TTL_MS} to ${MAX_LEVEL_TTL_MS}`)
  return { level, ttl_ms: Math.ceil(ttlMs) }
}

/** @throws {Error} for anything but an answer, with the reason where the process refused */
export function readLevelAnswer(line: string): LevelAnswer {
  const { error, kind, name, level, ttl_ms: ttlMs } = readObject(line)
  if (typeof error === 'string') throw new Error(error)
  const isAnswer = typeof kind === 'string' && typeof name === 'string' && isLevel(level)
  if (!isAnswer || (ttlMs !== undefined && typeof ttlMs !== 'number')) throw new Error('its answer is not understood')
  return { kind, name, level, ttl_ms: ttlMs }
}

/** Whether a text names a level. */
export function isLevel(text: unknown): text is LogLevel {
  return LOG_LEVELS.some(level => level === text)
}

function readObject(line: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw new Error(`expected a line of JSON: ${errorMessage(error)}`, { cause: error })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('expected a JSON object')
  return { ...value }
}
