import cron from 'node-cron'
import type { Config } from './config.js'
import { duration, type ValueReader } from './readers/value-readers.js'

export type CleanupSchedule = Config['sharedFiles']['cleanupFrequency']

/** Existing relays take shorter ones; they count as this. */
const MIN_PERIOD_MS = 1_000
const MAX_EXPRESSION_LENGTH = 200

/** How many steps each field of a cron expression has, the seconds first, which may be left out. */
const FIELD_SIZES: readonly number[] = [60, 60, 24, 31, 12, 7]

const period = duration(1)

/** A time such as `10min`, or a cron expression of five or six fields. */
export const cleanupSchedule: ValueReader<CleanupSchedule> = {
  expected: 'a time such as "10min", or a cron expression, such as "*/10 * * * *"',
  parse: raw => {
    const everyMs = period.parse(raw)
    if (everyMs !== undefined) return { everyMs: Math.max(everyMs, MIN_PERIOD_MS) }
    return typeof raw === 'string' && isCronExpression(raw) ? { cron: raw.trim() } : undefined
  }
}

function isCronExpression(text: string): boolean {
  if (text.length > MAX_EXPRESSION_LENGTH) return false
  const fields = text.trim().split(/\s+/)
  if (fields.length < 5 || fields.length > 6) return false
  const sizes = FIELD_SIZES.slice(FIELD_SIZES.length - fields.length)
  return (
    fields.every((field, index) => hasSensibleStep(field, sizes[index] ?? 0)) &&
    cron.validate(text.trim()) &&
    comesAtAll(text.trim())
  )
}

/** The 30th of February, for example, is a time that never comes. */
function comesAtAll(expression: string): boolean {
  try {
    return cron.createTask(expression, () => undefined).getNextRuns(1).length === 1
  } catch {
    return false
  }
}

/** node-cron takes a step of 90 minutes, and runs once an hour then: nobody means that. */
function hasSensibleStep(field: string, size: number): boolean {
  return [...field.matchAll(/\/(\d+)/g)].every(([, step]) => Number(step) >= 1 && Number(step) < size)
}
