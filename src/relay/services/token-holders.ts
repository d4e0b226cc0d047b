import type { TokenRight } from '../../keys/tokens/token-right.js'
import { mayCall } from '../../keys/tokens/token-scope.js'
import type { KnownTokens } from '../tokens/known-tokens.js'

interface Holder {
  readonly key: string
  /** The rights that let it in. */
  readonly rights: readonly TokenRight[]
  readonly end: () => void
}

/** How often it is looked whether rights have ended by time, in ms. */
const LOOK_EVERY_MS = 500

/** The requests under way that a token or a certificate let in: they end with its right, however long they last. */
export class TokenHolders {
  readonly #holders = new Set<Holder>()
  /** Runs while there are holders. */
  #timer: NodeJS.Timeout | undefined

  /** @param tokens tells when rights may have ended */
  constructor(tokens: Pick<KnownTokens, 'onChange'>) {
    tokens.onChange(() => this.look())
  }

  /** @param end called once, when none of the rights is left to call the service. @returns a function that forgets it */
  add(key: string, rights: readonly TokenRight[], end: () => void): () => void {
    const holder = { key, rights, end }
    this.#holders.add(holder)
    this.#timer ??= setInterval(() => this.look(), LOOK_EVERY_MS).unref()
    return () => {
      this.#holders.delete(holder)
      this.#rest()
    }
  }

  /** Ends requests whose rights have ended. */
  look(): void {
    for (const holder of this.#holders) {
      if (holder.rights.some(right => mayCall(right.scopes(), holder.key))) continue
      this.#holders.delete(holder)
      holder.end()
    }
    this.#rest()
  }

  #rest(): void {
    if (this.#holders.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
