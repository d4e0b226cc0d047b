/**
 * A point in time as every answer and every message has it: ISO 8601, UTC, to the millisecond.
 * @param ms since 1970, within what a `Date` can hold
 */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}

const ISO_TIME = /^[+-]?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/

/** Whether `text` is one that {@link isoTime} could have made: of a neighbour's answer nothing is believed. */
export function isIsoTime(text: unknown): text is string {
  return typeof text === 'string' && ISO_TIME.test(text) && !Number.isNaN(Date.parse(text))
}
