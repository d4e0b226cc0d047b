import { RelayError } from '../../values/failures/relay-error.js'
import type { Changed, MemberRepository } from './member-repository.js'

/** Changes by other processes that one change gives way to. */
const MAX_ATTEMPTS = 20

/**
 * Changes of the members, one at a time in this process: each looks at the members as they are, decides, and is made only
 * if no other process has changed them meanwhile. Otherwise it looks again.
 */
export class OrderlyChanges {
  #last: Promise<unknown> = Promise.resolve()

  constructor(private readonly repository: Pick<MemberRepository, 'version'>) {}

  /**
   * @param attempt reads, checks, and makes the change that goes with the version `seen`
   * @returns what became of it
   * @throws {RelayError} BUSY when others change the members all the time; and whatever `attempt` throws
   */
  make<Outcome extends string>(attempt: (seen: number) => Promise<Outcome | Changed>): Promise<Outcome> {
    const made = this.#last.then(() => this.#try(attempt))
    this.#last = made.catch(() => undefined) // its own caller hears of it
    return made
  }

  async #try<Outcome extends string>(attempt: (seen: number) => Promise<Outcome | Changed>): Promise<Outcome> {
    for (let count = 0; count < MAX_ATTEMPTS; count += 1) {
      const outcome = await attempt(await this.repository.version())
      if (!isChanged(outcome)) return outcome
    }
    throw new RelayError('BUSY', 'the members of the tree are being changed by others; try again in a moment')
  }
}

function isChanged(outcome: string): outcome is Changed {
  return outcome === 'changed'
}
