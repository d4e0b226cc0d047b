import { RelayError } from './relay-error.js'
import { readTimeSpan, splitTimeSpan, type TimeUnit } from './time-span.js'

/** The longest duration that makes sense in a configuration: a hundred years, in ms. */
export const MAX_DURATION_MS = 100 * 365.25 * 24 * 3_600_000

const PARSED_UNITS: readonly TimeUnit[] = ['y', 'w', 'd', 'h', 'm', 's', 'ms']
const PRINTED_UNITS: readonly TimeUnit[] = ['d', 'h', 'm', 's', 'ms']
const SUFFIXES: Readonly<Partial<Record<TimeUnit, string>>> = { h: 'h', m: 'min', s: 's', ms: 'ms' }

/**
 * A duration as configuration files and commands write it: a number of seconds, or `10min`, `1h 7s`, `2 days`, `500ms`
 * (years, weeks, days, hours, minutes, seconds, milliseconds, in that order, each optional).
 * @returns ms, 0 to {@link MAX_DURATION_MS}
 * @throws {RelayError} INVALID_INPUT
 */
export function parseDuration(text: string): number {
  const durationMs = readTimeSpan(text, PARSED_UNITS)
  if (durationMs === undefined) {
    throw invalid(text, 'expected a number of seconds, or a text such as 10min, 1h 7s or 2days')
  }
  if (durationMs > MAX_DURATION_MS) throw invalid(text, 'expected 100 years at most')
  return durationMs
}

/**
 * Prints a duration so that {@link parseDuration} reads it again: `1day 2h 3min`, `0s`.
 * @param durationMs a whole number, 0 to {@link MAX_DURATION_MS}
 * @throws {RelayError} INVALID_INPUT for any other number
 */
export function formatDuration(durationMs: number): string {
  if (!Number.isInteger(durationMs) || durationMs < 0 || durationMs > MAX_DURATION_MS) {
    throw invalid(String(durationMs), 'expected a whole number of milliseconds, 100 years at most')
  }
  const parts = splitTimeSpan(durationMs, PRINTED_UNITS).map(({ unit, count }) => {
    return `${count}${SUFFIXES[unit] ?? (count === 1 ? 'day' : 'days')}`
  })
  return parts.length === 0 ? '0s' : parts.join(' ')
}

function invalid(text: string, why: string): RelayError {
  return new RelayError('INVALID_INPUT', `invalid duration: ${JSON.stringify(text.slice(0, 80))}, ${why}`)
}
