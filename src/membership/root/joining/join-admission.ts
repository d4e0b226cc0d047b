import { type Caller, sharerOf } from '../../../network/caller.js'
import { FairSlots } from '../../../network/sources/fair-slots.js'
import { HopRefusedError, RelayError } from '../../../values/failures/relay-error.js'
import { JoinRateLimit } from './join-rate-limit.js'

/** Joins and renewals being worked on: each makes a signature, and waits for the tree. */
export const MAX_AT_ONCE = 256
/**
 * The number of refusals with one token, or for one certificate, from one source within a minute. Successes do not
 * count.
 */
const MAX_REFUSED_PER_MINUTE = 600
const MINUTE_MS = 60_000

/**
 * Admits joins. Many machines behind one address (NAT, a web server) join with tokens of their own, so what one of
 * them does wrong is counted with its token, and none of them can take all slots.
 */
export class JoinAdmission {
  readonly #slots = new FairSlots(MAX_AT_ONCE)
  readonly #refused: JoinRateLimit

  constructor(now?: () => number) {
    this.#refused = new JoinRateLimit(MAX_REFUSED_PER_MINUTE, MINUTE_MS, now)
  }

  /**
   * @param proof what the caller shows: its token, or its certificate request
   * @param work ends when its signal does: its slot goes to a source that has fewer
   * @throws {RelayError} BUSY, and whatever `work` throws
   */
  async run<T>(caller: Caller, proof: string, work: (evicted: AbortSignal) => Promise<T>): Promise<T> {
    const { source, standing } = sharerOf(caller)
    const name = `${source} ${proofName(proof)}`
    this.#refused.check(name)
    const eviction = new AbortController()
    const release = this.#slots.take(source, standing, () => eviction.abort(evictedError()))
    if (release === undefined)
      throw new RelayError('BUSY', 'too many machines are joining at once; try again in a moment')
    try {
      return await work(eviction.signal)
    } catch (error) {
      if (isRefusal(error)) this.#refused.count(name)
      else eviction.signal.throwIfAborted() // whatever it failed with for that
      throw error
    } finally {
      release()
    }
  }
}

function evictedError(): RelayError {
  return new RelayError(
    'BUSY',
    'too many machines are joining at once, and another one needed this slot; try again in a moment'
  )
}

/** Whether it was refused for what was shown, here or further up; not for what is broken on the way. */
function isRefusal(error: unknown): boolean {
  return error instanceof HopRefusedError || (error instanceof RelayError && error.code === 'FORBIDDEN')
}

/** A token by its public part, so that guesses of its secret are counted together; anything else by its beginning. */
function proofName(proof: string): string {
  const [id = ''] = proof.split('.', 1)
  return id.slice(0, 100)
}
