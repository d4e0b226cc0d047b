import { createHash } from 'node:crypto'
import { decodeTime, encodeTime, isValid, monotonicFactory } from 'ulid'
import { RelayError } from '../failures/relay-error.js'

let nextUlid = monotonicFactory()
let newestMs = 0
/** Crockford's base 32, as ULIDs are written. */
const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const TIME_CHARS = 10
const ID_CHARS = 26
const CANONICAL = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/

/**
 * A new id of a remote run: a ULID, 26 characters, greater than all that this process made before, unless the clock was
 * set back: then its time is the new one, since an id from the future would be taken for a fault of the clocks.
 * @param nowMs ms since 1970, at which the run was asked for
 */
export function makeRunId(nowMs: number = Date.now()): string {
  if (nowMs < newestMs) nextUlid = monotonicFactory() // which would keep the former time
  newestMs = nowMs
  return nextUlid(nowMs)
}

/**
 * The id of a further part of a run that is handed down in several orders. It follows from the run's, so that a part that
 * is handed down again, after a restart, is known below.
 * @param runId a run id @param part from 0
 */
export function partRunId(runId: string, part: number): string {
  const digest = createHash('sha256').update(`${runId}/${part}`).digest()
  const chars = Array.from({ length: runId.length - TIME_CHARS }, (_, at) => DIGITS[(digest[at] ?? 0) % DIGITS.length])
  return runId.slice(0, TIME_CHARS) + chars.join('')
}

/**
 * The key that tells the order of a caller, who names it by an id of their own, from all others: nobody comes upon the run of
 * somebody else.
 * @param orderId a ULID @param caller what tells callers apart
 */
export function orderKeyOf(orderId: string, caller: string): string {
  return createHash('sha256').update(`${orderId}/${caller}`).digest('hex')
}

/** Whether `text` is a ULID in its canonical, upper-case form: two spellings of one id would be two runs. */
export function isRunId(text: string): boolean {
  return isUlid(text)
}

/** Whether `text` is a ULID as it is printed, in upper case: the id of a run, or of an entry in an outbox. */
export function isUlid(text: string): boolean {
  return CANONICAL.test(text) && isValid(text)
}

/** The least id of a run that was asked for at `ms` since 1970. */
export function firstRunId(ms: number): string {
  return encodeTime(Math.max(0, Math.trunc(ms)), TIME_CHARS).padEnd(ID_CHARS, '0')
}

/**
 * When the run was asked for, in ms since 1970, by the clock of the relay that made the id.
 * @throws {RelayError} INVALID_INPUT when `id` is no run id
 */
export function runIdTimeMs(id: string): number {
  checkRunId(id)
  return decodeTime(id)
}

/** @throws {RelayError} INVALID_INPUT when `id` is no run id */
export function checkRunId(id: string): void {
  if (isRunId(id)) return
  throw new RelayError('INVALID_INPUT', `invalid run id: ${JSON.stringify(id.slice(0, 80))}, expected a ULID`)
}
