import type { Config } from '../../config/config.js'
import type { Freshness } from '../../membership/revocations/list-freshness.js'
import type { RevocationBook } from '../../membership/revocations/revocation-book.js'
import type { Logger } from '../../values/logging/logger.js'
import { type KnownTokens, openKnownTokens } from './known-tokens.js'
import { createSignedTokens } from './signed-tokens.js'

export interface AllTokensOptions {
  readonly config: Pick<Config, 'tokens' | 'services'>
  /** Undefined where no CA of its own tells this relay whose signed tokens are. */
  readonly book: RevocationBook | undefined
  readonly freshness: Freshness
  readonly logger: Logger
}

/** Opens the listed tokens and the signed ones, as one. The caller closes them. @throws {Error} as {@link openKnownTokens} */
export function openAllTokens({ config, book, freshness, logger }: AllTokensOptions): KnownTokens {
  const listed = openKnownTokens(config.tokens, logger)
  if (book === undefined) return listed
  const { offlineGraceMs } = config.services
  const signed = createSignedTokens({ book, freshness, offlineGraceMs, logger })
  return {
    find: token => listed.find(token) ?? signed.find(token),
    look: listed.look,
    onChange(listener) {
      listed.onChange(listener)
      signed.onChange(listener)
    },
    close() {
      listed.close()
      signed.close()
    }
  }
}
