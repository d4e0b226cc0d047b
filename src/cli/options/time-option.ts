import { errorMessage } from '../../values/failures/system-error.js'
import { formatDuration, parseDuration } from '../../values/time/duration.js'
import { parseTtl } from '../../values/time/ttl.js'
import { UsageError } from '../command-error.js'

/** @returns ms @throws {UsageError} naming the option, for anything but a duration from `minMs` to `maxMs` */
export function readDuration(option: string, text: string, minMs = 1, maxMs = Number.POSITIVE_INFINITY): number {
  const durationMs = named(option, () => parseDuration(text))
  if (durationMs > maxMs) {
    throw new UsageError(`${option} should be at most ${formatDuration(maxMs)}, not ${JSON.stringify(text)}`)
  }
  if (durationMs >= minMs) return durationMs
  throw new UsageError(`${option} should be at least ${formatDuration(minMs)}, not ${JSON.stringify(text)}`)
}

/** @throws {UsageError} naming the option, for anything but a time to live of a shared file */
export function checkTtl(option: string, text: string): void {
  named(option, () => parseTtl(text))
}

function named<T>(option: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new UsageError(`${option}: ${errorMessage(error)}`, { cause: error })
  }
}
