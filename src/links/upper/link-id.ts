import { randomBytes } from 'node:crypto'

const COUNTER_DIGITS = 10
let opened = 0

/**
 * An id for a new link. Ids of one process are in the order in which they were made; the random part tells them from
 * those of another one.
 */
export function nextLinkId(): string {
  opened += 1
  return `${String(opened).padStart(COUNTER_DIGITS, '0')}-${randomBytes(12).toString('hex')}`
}
