import { mayCall } from '../../keys/tokens/token-scope.js'
import type { KnownTokens } from '../tokens/known-tokens.js'

interface Holder {
  readonly key: string
  /** The hashes of the tokens that let it in. */
  readonly hashes: readonly string[]
  readonly end: () => void
}

/** The requests under way that a token let in: they end with its right, however long they last. */
export class TokenHolders {
  readonly #holders = new Set<Holder>()

  constructor(private readonly tokens: Pick<KnownTokens, 'scopesOf' | 'onChange'>) {
    tokens.onChange(() => this.#look())
  }

  /** @param end called once, when none of the tokens may call the service any more. @returns a function that forgets it */
  add(key: string, hashes: readonly string[], end: () => void): () => void {
    const holder = { key, hashes, end }
    this.#holders.add(holder)
    return () => this.#holders.delete(holder)
  }

  #look(): void {
    for (const holder of this.#holders) {
      if (holder.hashes.some(hash => mayCall(this.tokens.scopesOf(hash), holder.key))) continue
      this.#holders.delete(holder)
      holder.end()
    }
  }
}
