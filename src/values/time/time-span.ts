import ms from 'ms'

/** Units from the longest to the shortest, as `ms` names them, each with the spellings that are taken. */
const SPELLINGS = {
  d: ['d', 'day', 'days'],
  h: ['h', 'hr', 'hrs', 'hour', 'hours'],
  m: ['m', 'min', 'mins', 'minute', 'minutes'],
  s: ['s', 'sec', 'secs', 'second', 'seconds'],
  ms: ['ms', 'msec', 'msecs', 'millisecond', 'milliseconds']
} as const

export type TimeUnit = keyof typeof SPELLINGS

const UNITS: readonly TimeUnit[] = ['d', 'h', 'm', 's', 'ms']
const UNIT_OF: ReadonlyMap<string, TimeUnit> = new Map(
  UNITS.flatMap(unit => SPELLINGS[unit].map(spelling => [spelling, unit] as const))
)

/** The longest text; nobody needs a longer one, and a longer number could not be told exactly. */
const MAX_TEXT_LENGTH = 100
const SECONDS_ONLY = /^\d{1,15}$/
const PART = /(\d{1,15}) *([a-z]+) */y

/**
 * Reads a number of seconds, or parts such as `1day 2h3min`, each unit at most once, the longest first.
 * The grammar is checked here, and `ms` only converts single parts: alone it takes `-1d` and `1.5h`, and not `5h 3s`.
 * @param units that may occur
 * @returns ms, not bounded; undefined when `text` is anything else
 */
export function readTimeSpan(text: string, units: readonly TimeUnit[]): number | undefined {
  if (text.length > MAX_TEXT_LENGTH) return undefined
  const rest = trimSpaces(text)
  if (SECONDS_ONLY.test(rest)) return ms(`${Number(rest)}s`)
  let total = 0
  let previousRank = -1
  let position = 0
  while (position < rest.length) {
    PART.lastIndex = position
    const [part = '', digits = '', spelling = ''] = PART.exec(rest) ?? []
    const unit = UNIT_OF.get(spelling)
    if (unit === undefined || !units.includes(unit)) return undefined
    const rank = UNITS.indexOf(unit)
    if (rank <= previousRank) return undefined
    total += ms(`${Number(digits)}${unit}`)
    previousRank = rank
    position += part.length
  }
  return previousRank < 0 ? undefined : total
}

/**
 * Splits a span into whole numbers of each of `units` (longest first); those that are zero are left out.
 * @param spanMs a whole number of the shortest unit, in ms
 */
export function splitTimeSpan(spanMs: number, units: readonly TimeUnit[]): { unit: TimeUnit; count: number }[] {
  const parts: { unit: TimeUnit; count: number }[] = []
  let rest = spanMs
  for (const unit of units) {
    const unitMs = ms(`${1}${unit}`)
    const count = Math.floor(rest / unitMs)
    rest -= count * unitMs
    if (count > 0) parts.push({ unit, count })
  }
  return parts
}

/** Spaces only: a tab or a line end has no place in a time span. */
function trimSpaces(text: string): string {
  return text.replace(/^ +/, '').replace(/ +$/, '')
}
