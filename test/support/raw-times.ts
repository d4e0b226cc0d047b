/** ms since 1970, from 2001 to 5138; nothing else that is told of is so great a number, but for bytes and ports of its own kind. */
const EPOCH_MS = { least: 1e12, most: 1e14 } as const
/** The forms in which OpenSSL and `Date` print times: `Feb 27 06:18:58 2027 GMT`, `Sun Nov 29 2026 08:47:21`. */
const PRINTED = /\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2} (?:\d{4} )?\d\d:\d\d:\d\d\b/
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/

/**
 * The members of JSON whose time is in another form than ISO 8601, as paths with their values. A number beside one in
 * that form (`started_at_ms` beside `started_at`) is for programs, and is none.
 */
export function rawTimesIn(value: unknown, path = ''): string[] {
  if (typeof value === 'string') return PRINTED.test(value) ? [`${path}: ${value}`] : []
  if (typeof value === 'number') {
    return value >= EPOCH_MS.least && value < EPOCH_MS.most ? [`${path}: ${value}`] : []
  }
  if (typeof value !== 'object' || value === null) return []
  const members = new Map<string, unknown>(Object.entries(value))
  return [...members].flatMap(([name, member]) => {
    const beside = name.endsWith('_ms') ? members.get(name.slice(0, -'_ms'.length)) : undefined
    return typeof beside === 'string' && ISO.test(beside) ? [] : rawTimesIn(member, `${path}/${name}`)
  })
}
