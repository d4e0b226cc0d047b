import { nodesIn } from '../../hops/peers/peer-identity.js'
import { fingerprint } from '../../keys/certificates/fingerprint.js'
import { type Challenge, ChallengeError } from './challenge.js'

/** The upper side as the lower one sees it in TLS. */
export interface SeenUpper {
  /** SHA-256 of its certificate, lower-case hex; empty without TLS. */
  readonly fingerprint: string
  /** The ids of nodes in it, where it is trusted for its issuer: that of a web server has none. */
  readonly nodes: readonly string[]
}

/**
 * @param leaf that TLS accepted, DER; undefined: without TLS
 * @param isPinned whether this very certificate is trusted, whatever it says
 */
export function seenUpper(leaf: Buffer | undefined, isPinned: boolean): SeenUpper {
  if (leaf === undefined) return { fingerprint: '', nodes: [] }
  return { fingerprint: fingerprint(leaf), nodes: isPinned ? [] : nodesIn(leaf) }
}

/**
 * Whether the challenge is one of whom TLS was spoken with: somebody in between, with a good certificate of its own, could
 * hand on that of another relay, and the answer to it.
 * @throws {ChallengeError}
 */
export function checkUpper({ relay }: Challenge, { nodes }: SeenUpper): void {
  if (nodes.length === 0 || (nodes.length === 1 && nodes[0] === relay)) return
  throw new ChallengeError(
    `it says that it is ${JSON.stringify(relay)}, and shows a certificate of ${nodes.join(', ')}`
  )
}
