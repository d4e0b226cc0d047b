import { Claims } from '../../../src/storage/sqlite/claims.js'

/** The claims of processes that share one SQLite database, which in production has one process at a time. */
export class ProcessClaims {
  #last: Claims

  /** @param now ms of the clock that leases go by */
  constructor(private readonly now?: () => number) {
    this.#last = new Claims(now)
  }

  /** Claims of a process that starts when the former ones are gone. */
  next(): Claims {
    this.#last = new Claims(this.now)
    return this.#last
  }

  /** Claims of one more process, which lives beside the last one. */
  beside(): Claims {
    return this.#last.beside()
  }
}
