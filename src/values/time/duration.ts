import { RelayError } from '../failures/relay-error.js'
import { splitTimeSpan, type TimeUnit } from './time-span.js'

const SECOND_MS = 1_000
const DAY_MS = 86_400 * SECOND_MS

/** The longest duration that makes sense in a configuration: a hundred years, in ms. */
export const MAX_DURATION_MS = 100 * 365.25 * DAY_MS

/** The longest text; nobody needs a longer one. */
const MAX_TEXT_LENGTH = 100
const SECONDS_ONLY = /^\d{1,15}$/
const PART = /(\d{1,15}(?:\.\d{1,9})?) *([a-zA-Zµ]+) */y

/** The units that existing relays take (Rust's humantime), and `msecs`, `milliseconds`; in ms. */
const UNITS: readonly (readonly [ms: number, ...spellings: readonly string[]])[] = [
  [1e-6, 'ns', 'nsec', 'nanos'],
  [1e-3, 'us', 'µs', 'usec'],
  [1, 'ms', 'msec', 'millis', 'msecs', 'millisecond', 'milliseconds'],
  [SECOND_MS, 's', 'sec', 'secs', 'second', 'seconds'],
  [60 * SECOND_MS, 'm', 'min', 'mins', 'minute', 'minutes'],
  [3_600 * SECOND_MS, 'h', 'hr', 'hrs', 'hour', 'hours'],
  [DAY_MS, 'd', 'day', 'days'],
  [7 * DAY_MS, 'w', 'wk', 'wks', 'week', 'weeks'],
  [30.44 * DAY_MS, 'M', 'month', 'months'],
  [365.25 * DAY_MS, 'y', 'yr', 'yrs', 'year', 'years']
]
const MS_OF: ReadonlyMap<string, number> = new Map(
  UNITS.flatMap(([unitMs, ...spellings]) => spellings.map(spelling => [spelling, unitMs] as const))
)

const PRINTED_UNITS: readonly TimeUnit[] = ['d', 'h', 'm', 's', 'ms']
const SUFFIXES: Readonly<Partial<Record<TimeUnit, string>>> = { h: 'h', m: 'min', s: 's', ms: 'ms' }

/**
 * A duration as configuration files and commands write it: a number of seconds, or parts such as `10min`, `1h 7s`,
 * `7s 1h`, `2 days`, `500ms`, `1.5h`, which add up. A month is 30.44 days, a year 365.25.
 * @returns whole ms, rounded up, 0 to {@link MAX_DURATION_MS}
 * @throws {RelayError} INVALID_INPUT
 */
export function parseDuration(text: string): number {
  const durationMs = text.length > MAX_TEXT_LENGTH ? undefined : readParts(text.replace(/^ +| +$/g, ''))
  if (durationMs === undefined) {
    throw invalid(text, 'expected a number of seconds, or a text such as 10min, 1h 7s or 2days')
  }
  if (durationMs > MAX_DURATION_MS) throw invalid(text, 'expected 100 years at most')
  return durationMs
}

function readParts(text: string): number | undefined {
  if (SECONDS_ONLY.test(text)) return Number(text) * SECOND_MS
  let totalMs = 0
  PART.lastIndex = 0
  while (PART.lastIndex < text.length) {
    const [, number, unit = ''] = PART.exec(text) ?? []
    const unitMs = MS_OF.get(unit)
    if (unitMs === undefined) return undefined
    // without the error of a multiplication such as 1.1 * 1000, which would round up to one more
    totalMs += Number((Number(number) * unitMs).toPrecision(15))
  }
  return text === '' ? undefined : Math.ceil(Number(totalMs.toPrecision(15)))
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
