import type { IncomingHttpHeaders } from 'node:http'
import { RelayError } from '../../values/failures/relay-error.js'

/**
 * Ranges, or tags of files, in one header. Reading some thousands of ranges takes 4 ms, and hundreds of lookups of files
 * may end in the same turn of the event loop.
 */
export const MAX_CONDITIONS = 64

/** The headers of a GET of a file that are lists. */
const LISTS = ['range', 'if-match', 'if-none-match'] as const

/** @throws {RelayError} INVALID_INPUT when one of them has more than {@link MAX_CONDITIONS} parts */
export function checkConditions(headers: IncomingHttpHeaders): void {
  for (const name of LISTS) {
    const text = headers[name]
    if (text === undefined) continue
    let parts = 1
    for (let at = text.indexOf(','); at !== -1; at = text.indexOf(',', at + 1)) {
      parts += 1
      if (parts > MAX_CONDITIONS) {
        throw new RelayError('INVALID_INPUT', `the header ${name} has more than ${MAX_CONDITIONS} parts; send fewer`)
      }
    }
  }
}
