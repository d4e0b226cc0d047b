import type { Neighbours } from '../../hops/hop.js'
import { readPrefix } from '../../hops/read-prefix.js'
import { FORM } from '../../network/header-names.js'
import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import type { RevocationBook } from './revocation-book.js'
import { MAX_LIST_LENGTH } from './revocation-list.js'

const LIMIT_MS = 30_000

/** The path at which lists are asked for, and handed down, as a `HopRequest` has it. */
export const REVOCATIONS_PATH = 'v1/revocations'

/** The outcome of an inquiry. `failed`: there was no answer, or none that could be used. */
export type InquiryOutcome = 'newer' | 'unchanged' | 'failed'

/**
 * Asks the policy server for a newer list, and hands it ours where that is the newer one: a root whose state came from a
 * backup, or whose clock was ahead once, finds out by this what its members have. Never rejects: the next time will do.
 */
export async function askForRevocations(
  neighbours: Pick<Neighbours, 'up'>,
  book: RevocationBook,
  logger: Logger,
  stopping: AbortSignal
): Promise<InquiryOutcome> {
  const signal = AbortSignal.any([stopping, AbortSignal.timeout(LIMIT_MS)])
  try {
    const headers = { 'if-none-match': `"${book.list.number}"` }
    const outcome = await neighbours.up().request({ method: 'GET', path: REVOCATIONS_PATH, headers, signal })
    if (outcome.kind === 'unreachable') throw new Error(outcome.reason)
    outcome.body.on('error', () => undefined) // whoever reads it is told
    if (outcome.status === 200) {
      const text = (await readPrefix(outcome.body, MAX_LIST_LENGTH + 1, LIMIT_MS)).toString('utf8')
      if (await book.take(text)) return 'newer'
      if (text !== book.text) await handUp(neighbours, book, signal)
      return 'unchanged'
    }
    outcome.body.resume()
    if (outcome.status === 204 && book.text !== '') await handUp(neighbours, book, signal)
    if (outcome.status === 204 || outcome.status === 304) return 'unchanged'
  } catch (error) {
    if (!stopping.aborted)
      logger.debug({ reason: errorMessage(error) }, 'no list of revoked certificates from the policy server')
  }
  return 'failed'
}

async function handUp(
  neighbours: Pick<Neighbours, 'up'>,
  { text }: RevocationBook,
  signal: AbortSignal
): Promise<void> {
  const form = listForm(text)
  const outcome = await neighbours.up().request({
    method: 'POST',
    path: REVOCATIONS_PATH,
    headers: { 'content-type': FORM, 'content-length': String(form.length) },
    body: () => form,
    signal
  })
  if (outcome.kind !== 'unreachable') outcome.body.on('error', () => undefined).resume()
}

/** The form that `POST v1/revocations` takes. */
export function listForm(list: string): Buffer {
  return Buffer.from(new URLSearchParams({ list }).toString())
}
