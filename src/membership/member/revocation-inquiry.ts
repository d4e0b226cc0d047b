import type { Neighbours } from '../../hops/hop.js'
import { readBeginning } from '../../hops/read-prefix.js'
import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logger.js'
import type { RevocationBook } from '../revocation-book.js'
import { MAX_LIST_LENGTH } from '../revocation-list.js'

const LIMIT_MS = 30_000

/** Where lists are asked for, and handed down, as a `HopRequest` has it. */
export const REVOCATIONS_PATH = 'v1/revocations'

/**
 * Asks the policy server for a newer list. Never rejects: the next time will do.
 * @returns whether one came
 */
export async function askForRevocations(
  neighbours: Pick<Neighbours, 'up'>,
  book: RevocationBook,
  logger: Logger,
  stopping: AbortSignal
): Promise<boolean> {
  try {
    const outcome = await neighbours.up().request({
      method: 'GET',
      path: REVOCATIONS_PATH,
      headers: { 'if-none-match': `"${book.list.number}"` },
      signal: AbortSignal.any([stopping, AbortSignal.timeout(LIMIT_MS)])
    })
    if (outcome.kind === 'unreachable') throw new Error(outcome.reason)
    outcome.body.on('error', () => undefined) // whoever reads it is told
    if (outcome.status === 200) {
      return await book.take((await readBeginning(outcome.body, MAX_LIST_LENGTH + 1, LIMIT_MS)).toString('utf8'))
    }
    outcome.body.resume() // there is none, none that is newer, or the policy server is older than that
  } catch (error) {
    if (!stopping.aborted)
      logger.debug({ reason: errorMessage(error) }, 'no list of revoked certificates from the policy server')
  }
  return false
}
