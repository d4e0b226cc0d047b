import type { TokenScope } from './token-scope.js'

/** The right of a caller, by a token or a certificate. */
export interface TokenRight {
  /** Its scopes now; none before it begins, and once it has ended for whatever reason. */
  scopes(): readonly TokenScope[]
  /** Why it allows nothing, for its holder; undefined where it is in force, or no more is known. */
  whyNot(): string | undefined
}

export const NO_SCOPES: readonly TokenScope[] = []
