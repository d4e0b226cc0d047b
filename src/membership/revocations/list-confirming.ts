import type { Neighbours } from '../../hops/hop.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { membersOf } from '../../values/text/json.js'
import { askTowardsRoot } from '../join-proxy.js'
import type { RequestWay } from '../member-types.js'
import { formatConfirmation, isNonce, makeNonce, readConfirmation } from './list-confirmation.js'
import type { ConfirmedFreshness, Freshness } from './list-freshness.js'
import type { RevocationBook } from './revocation-book.js'

/** The path at which a confirmation is asked for, as a `HopRequest` has it. */
const CONFIRMATION_PATH = 'v1/revocations/confirmation'
const LIMIT_MS = 30_000

/** The place to which questions for a confirmation go, or where they are answered. */
export interface ListConfirming {
  /**
   * @param nonce of the relay that asks ({@link makeNonce})
   * @returns a confirmation, signed by the CA
   * @throws {RelayError} INVALID_INPUT, HOP_UNREACHABLE, LOOP_DETECTED
   */
  confirm(nonce: string, way: RequestWay): Promise<string>
}

/** Answers at the root. @param sign by the CA's key */
export function createRootConfirming(
  book: Pick<RevocationBook, 'list'>,
  freshness: Freshness,
  sign: (text: Buffer) => Buffer
): ListConfirming {
  return {
    async confirm(nonce) {
      checkNonce(nonce)
      const time = freshness.time()
      if (time === undefined) throw new RelayError('BUSY', "the root's clock is wrong")
      return formatConfirmation(nonce, { number: book.list.number, timeMs: time.latestMs }, sign)
    }
  }
}

/** Passes the question on, and the answer back. */
export function createConfirmingProxy(neighbours: Pick<Neighbours, 'up'>, selfId: string): ListConfirming {
  return {
    async confirm(nonce, way) {
      checkNonce(nonce)
      const path = `${CONFIRMATION_PATH}?nonce=${nonce}`
      const confirmation = membersOf(await askTowardsRoot(neighbours, selfId, path, undefined, way))?.confirmation
      if (typeof confirmation === 'string') return confirmation
      throw new RelayError('HOP_UNREACHABLE', 'the policy server did not answer with a confirmation of its list')
    }
  }
}

/**
 * Asks the root whether the list here is the newest, and what time it is.
 * @returns whether it is; undefined where there was no answer that could be used
 * @throws {Error} where the root cannot be asked
 */
export async function confirmList(
  confirming: ListConfirming,
  book: RevocationBook,
  freshness: ConfirmedFreshness,
  stopping: AbortSignal
): Promise<boolean | undefined> {
  const nonce = makeNonce()
  const askedAtMs = freshness.now()
  const signal = AbortSignal.any([stopping, AbortSignal.timeout(LIMIT_MS)])
  const text = await confirming.confirm(nonce, { passed: [], signal })
  const confirmation = readConfirmation(text, nonce, await book.ca())
  if (confirmation === undefined) return undefined
  if (confirmation.number > book.list.number) return false
  freshness.confirmed(askedAtMs, confirmation)
  return true
}

function checkNonce(nonce: string): void {
  if (!isNonce(nonce)) throw new RelayError('INVALID_INPUT', 'a nonce is 22 letters, digits, _ and -')
}
