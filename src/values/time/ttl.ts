import { RelayError } from '../failures/relay-error.js'
import { readTimeSpan, splitTimeSpan, type TimeUnit } from './time-span.js'

const UNITS: readonly TimeUnit[] = ['d', 'h', 'm', 's']
const LONG_NAMES: Readonly<Partial<Record<TimeUnit, string>>> = { d: 'day', h: 'hour', m: 'minute', s: 'second' }

/** The last moment that a `Date` can hold, in ms since 1970 (ECMA-262, "Time Values and Time Range"). */
const LAST_DATE_MS = 8.64e15

/**
 * The time to live of a shared file (contract, "Shared files"): a number of seconds, or days, hours, minutes, seconds
 * in that order, each optional, long, short, spaced or not: `1day 2hours 3minute 4seconds`, `5h 3s`, `1d2h3m4s`.
 * A `+` counts as a space, since some clients write it in a query.
 * @param nowMs the moment from which it counts; what it leads to must still be a date
 * @returns whole seconds; 0, which existing clients send too: the file is past its time at once
 * @throws {RelayError} INVALID_INPUT
 */
export function parseTtl(text: string, nowMs: number = Date.now()): number {
  const ttlMs = readTimeSpan(text.replaceAll('+', ' '), UNITS)
  if (ttlMs === undefined) {
    throw invalid(
      text,
      'expected a number of seconds, or days, hours, minutes and seconds, such as 1day 2hours or 5h3s'
    )
  }
  if (nowMs + ttlMs > LAST_DATE_MS) throw invalid(text, 'it leads beyond the last date there is')
  return ttlMs / 1000
}

/**
 * Prints a time to live so that {@link parseTtl} reads it again: `1day 2hours 4seconds`.
 * @param ttlSeconds a whole number, to be added to a date
 * @throws {RelayError} INVALID_INPUT for any other number
 */
export function formatTtl(ttlSeconds: number): string {
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 0 || ttlSeconds * 1000 > LAST_DATE_MS) {
    throw invalid(String(ttlSeconds), 'expected a whole number of seconds')
  }
  if (ttlSeconds === 0) return '0seconds'
  return splitTimeSpan(ttlSeconds * 1000, UNITS)
    .map(({ unit, count }) => `${count}${LONG_NAMES[unit] ?? unit}${count === 1 ? '' : 's'}`)
    .join(' ')
}

function invalid(text: string, why: string): RelayError {
  return new RelayError('INVALID_INPUT', `invalid ttl: ${JSON.stringify(text.slice(0, 80))}, ${why}`)
}
