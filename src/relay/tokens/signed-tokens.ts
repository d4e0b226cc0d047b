import { createHash, createPublicKey } from 'node:crypto'
import {
  isSignedBy,
  MAX_SIGNED_LIFETIME_MS,
  readClaims,
  readSignedToken,
  type TokenClaims
} from '../../keys/tokens/signed-token.js'
import { type TokenKey, tokenKeyOf, treeAudience } from '../../keys/tokens/token-key.js'
import { NO_SCOPES, type TokenRight } from '../../keys/tokens/token-right.js'
import type { Freshness } from '../../membership/revocations/list-freshness.js'
import type { RevocationBook } from '../../membership/revocations/revocation-book.js'
import type { ListedTokenKey, RevocationList } from '../../membership/revocations/revocation-list.js'
import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { formatDuration } from '../../values/time/duration.js'
import { isoTime } from '../../values/time/iso-time.js'

/** How much clocks may differ. */
const SKEW_MS = 60_000
/** Tokens whose signatures were verified that are remembered. */
const MAX_KNOWN = 10_000
/** How often it is looked whether rights have ended by time. */
const LOOK_EVERY_MS = 500

export interface SignedTokensOptions {
  readonly book: Pick<RevocationBook, 'list' | 'authority' | 'isTokenRevoked' | 'onChange'>
  readonly freshness: Freshness
  /** How long tokens are taken while the root cannot be asked. */
  readonly offlineGraceMs: number
  readonly logger: Pick<Logger, 'error'>
}

/** Tokens that the tree's keys signed (JWT). */
export interface SignedTokens {
  /**
   * Finds the right of a token, whose signature is verified once.
   * @returns undefined for what none of the keys signed: it may be somebody else's token, or forged
   */
  find(token: string): TokenRight | undefined
  /** @param listener called when rights may have ended: each half second, once a token was found */
  onChange(listener: () => void): void
  close(): void
}

/** Verifies tokens in the turn in which it is asked, so that nothing is revoked between the answer and its use. */
export function createSignedTokens(options: SignedTokensOptions): SignedTokens {
  const { book, logger } = options
  const listeners: (() => void)[] = []
  const known = new Map<string, TokenRight>()
  let keys = readKeys(book.list, logger)
  let audience = audienceOf(book)
  let timer: NodeJS.Timeout | undefined
  const tell = () => {
    for (const listener of listeners) listener()
  }
  book.onChange(() => {
    keys = readKeys(book.list, logger)
    audience = audienceOf(book)
    tell()
  })

  function find(token: string): TokenRight | undefined {
    if (keys.size === 0) return undefined
    const unproved = readSignedToken(token)
    if (unproved === undefined) return undefined
    const key = keys.get(unproved.keyId)
    if (key === undefined) return undefined
    const hash = createHash('sha256').update(token).digest('base64')
    const before = known.get(hash)
    if (before !== undefined) return before
    if (!isSignedBy(unproved, key)) return undefined
    const right = rightOf(readClaims(unproved), key)
    remember(hash, right)
    timer ??= setInterval(tell, LOOK_EVERY_MS).unref()
    return right
  }

  function remember(hash: string, right: TokenRight): void {
    known.set(hash, right)
    const [oldest] = known.keys()
    if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest)
  }

  /** @param claims a text: what is wrong with them, for good */
  function rightOf(claims: TokenClaims | string, key: TokenKey): TokenRight {
    const whyNot = () => {
      if (typeof claims === 'string') return claims
      if (!keys.has(key.id)) return 'the key that signed it was retired'
      if (book.isTokenRevoked(claims.id)) return 'it was revoked'
      if (audience === undefined || !claims.audiences.includes(audience)) return 'it is for another tree'
      return whyNotNow(claims, options)
    }
    return { whyNot, scopes: () => (typeof claims === 'string' || whyNot() !== undefined ? NO_SCOPES : claims.scopes) }
  }

  return { find, onChange: listener => void listeners.push(listener), close: () => clearInterval(timer) }
}

function whyNotNow(
  { fromMs = 0, untilMs }: TokenClaims,
  { freshness, offlineGraceMs }: SignedTokensOptions
): string | undefined {
  const time = freshness.time()
  // what is not known must not let anybody in: what was revoked, and how late it is
  if (time === undefined || freshness.ageMs() > offlineGraceMs) {
    return `this relay has not reached the root for longer than services.offline_grace (${formatDuration(offlineGraceMs)}), and so does not know whether it was revoked`
  }
  if (time.latestMs >= untilMs + SKEW_MS) return `it ended at ${isoTime(untilMs)}`
  if (time.earliestMs < fromMs - SKEW_MS)
    return `it begins at ${isoTime(fromMs)}; it is ${isoTime(time.earliestMs)} now`
  if (untilMs > time.earliestMs + MAX_SIGNED_LIFETIME_MS + SKEW_MS) return 'it ends more than a year from now'
  return undefined
}

function audienceOf({ authority }: Pick<RevocationBook, 'authority'>): string | undefined {
  return authority === undefined ? undefined : treeAudience(authority.raw)
}

function readKeys({ keys }: RevocationList, logger: Pick<Logger, 'error'>): ReadonlyMap<string, TokenKey> {
  return new Map(keys.flatMap(listed => readKey(listed, logger)).map(key => [key.id, key]))
}

function readKey({ id, publicKey }: ListedTokenKey, logger: Pick<Logger, 'error'>): TokenKey[] {
  try {
    const key = tokenKeyOf(createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' }))
    if (key.id === id) return [key]
    throw new Error('its id is that of another key')
  } catch (error) {
    logger.error({ key: id, reason: errorMessage(error) }, 'cannot use a key of tokens')
    return []
  }
}
