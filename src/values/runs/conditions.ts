import { RelayError } from '../failures/relay-error.js'
import { showOnOneLine } from '../text/shown-text.js'

/** The most characters that one condition may have (contract, "Remote run"). */
export const MAX_CONDITION_LENGTH = 1024

/** The most that all of a run may have together: they become one argument of a command, which ends at 128 KiB. */
export const MAX_CONDITIONS_LENGTH = 64 * 1024

const CONDITION = /^[a-zA-Z0-9][a-zA-Z0-9_]*$/

/**
 * Reads the comma-separated conditions of a remote run. Existing relays always send the field, so an empty text means
 * no conditions; an empty item among others is a mistake.
 * @throws {RelayError} INVALID_INPUT with the line that existing callers know, naming the first bad condition
 */
export function parseConditions(text: string): string[] {
  if (text === '') return []
  if (text.length > MAX_CONDITIONS_LENGTH) {
    const limit = `at most ${MAX_CONDITIONS_LENGTH} characters are allowed`
    throw new RelayError('INVALID_INPUT', `too many conditions: ${text.length} characters, ${limit}`)
  }
  const conditions = text.split(',')
  for (const condition of conditions) checkCondition(condition)
  return conditions
}

function checkCondition(condition: string): void {
  const shown = showOnOneLine(condition)
  if (condition.length > MAX_CONDITION_LENGTH) {
    const limit = `at most ${MAX_CONDITION_LENGTH} characters are allowed`
    throw new RelayError('INVALID_INPUT', `invalid condition: ${shown}, ${limit}`)
  }
  if (!CONDITION.test(condition)) {
    throw new RelayError('INVALID_INPUT', `invalid condition: ${shown}, should match ${CONDITION.source}`)
  }
}
