import { deepEqual } from 'node:assert/strict'
import type { SeenByLlhttp } from './llhttp.js'
import type { SeenMessage, SeenMessages } from './read-messages.js'

/** A message that ours accepts and llhttp refuses. */
export interface OnlyOurs {
  readonly message: SeenMessage
  /** The messages before it on its connection. */
  readonly before: readonly SeenMessage[]
  /** `HPE_…` */
  readonly code: string
}

/**
 * Compares how both parsers read the same bytes, message by message, up to the first that one of them refuses.
 * @returns the message that ours alone accepts, if there is one
 * @throws {AssertionError} both accept a message and read it differently, or one waits for more of it and the other not
 */
export function compareReadings(ours: SeenMessages, theirs: SeenByLlhttp): OnlyOurs | undefined {
  for (let index = 0; ; index += 1) {
    const mine = ours.messages[index]
    const other = theirs.messages[index]
    if (ours.isOver && (mine === undefined || !mine.isComplete)) return undefined
    const isRefused = theirs.code !== undefined && (other === undefined || !other.isComplete)
    // Refused before its end, where ours has not decided yet.
    if (isRefused && mine?.isComplete === false && other !== undefined) return undefined
    if (isRefused) {
      const before = ours.messages.slice(0, index)
      return mine === undefined ? undefined : { message: mine, before, code: theirs.code ?? '' }
    }
    deepEqual(mine, other, `message ${index + 1} is read differently`)
    if (mine === undefined || !mine.isComplete) return undefined
  }
}
