import { RelayError } from './failures/relay-error.js'
import { isNodeId } from './ids.js'

/** A tree of height 20, up and down: whatever passed more relays goes in circles. */
export const MAX_PASSED_RELAYS = 40

/** The longest header: longer than 40 ids of 128 characters, with commas and spaces. */
const MAX_HEADER_LENGTH = 8 * 1024

/**
 * Reads the `treeline-passed` header: ids of the relays that a request passed, oldest first. An empty or absent one is
 * none. Only a caller who is to be believed may have it read.
 * @throws {RelayError} INVALID_INPUT when an item is not a node id; LOOP_DETECTED when there are more than
 * {@link MAX_PASSED_RELAYS}
 */
export function parsePassed(header: string | undefined): string[] {
  if (header === undefined || header.trim() === '') return []
  if (header.length > MAX_HEADER_LENGTH) throw tooMany()
  const ids = header.split(',').map(id => id.trim())
  if (ids.length > MAX_PASSED_RELAYS) throw tooMany()
  for (const id of ids) {
    if (!isNodeId(id)) {
      throw new RelayError('INVALID_INPUT', `invalid list of passed relays: ${JSON.stringify(id.slice(0, 80))}`)
    }
  }
  return ids
}

/** The header's value; {@link parsePassed} reads it again. */
export function formatPassed(passed: readonly string[]): string {
  return passed.join(',')
}

/**
 * The list to send along when this relay passes a request on.
 * @param passed as it came, oldest first
 * @throws {RelayError} LOOP_DETECTED when `selfId` is in it already, or would be the 41st
 */
export function passOn(passed: readonly string[], selfId: string): string[] {
  if (passed.includes(selfId)) {
    const way = [...passed, selfId].join(' > ')
    throw new RelayError('LOOP_DETECTED', `the request came back to ${selfId}: ${way}; check the nodes lists`)
  }
  if (passed.length >= MAX_PASSED_RELAYS) throw tooMany()
  return [...passed, selfId]
}

function tooMany(): RelayError {
  return new RelayError(
    'LOOP_DETECTED',
    `the request passed more than ${MAX_PASSED_RELAYS} relays; check the nodes lists`
  )
}
