import type { Neighbours } from '../../hops/hop.js'
import type { LinkRegistry } from '../../links/upper/link-registry.js'
import { askForRevocations, listForm, REVOCATIONS_PATH } from '../../membership/member/revocation-inquiry.js'
import type { RevocationBook } from '../../membership/revocation-book.js'
import type { Logger } from '../../values/logger.js'
import { FORM } from '../../values/network/header-names.js'

/** Relays and nodes that are handed the list at once. */
export const HANDED_AT_ONCE = 16
const SILENCE_MS = 10_000

export interface RevocationExchangeOptions {
  readonly book: RevocationBook
  readonly neighbours: Pick<Neighbours, 'up' | 'linked'>
  readonly registry: Pick<LinkRegistry, 'all' | 'onChange'>
  /** False at the root, which makes the list. */
  readonly hasUpper: boolean
  readonly logger: Logger
  readonly now?: () => number
}

/**
 * The way of the list of revoked certificates: this relay asks its policy server for it, and hands it to whoever holds a
 * link here, once for each list and link. An agent would need a connection of its own to ask.
 */
export class RevocationExchange {
  readonly #stopping = new AbortController()
  /** The relays that have yet to get the present list. */
  readonly #waiting = new Set<string>()
  /** The relays that could not get it, until the next {@link look}. */
  readonly #failed = new Set<string>()
  #formOf: { readonly text: string; readonly form: Buffer } = { text: '', form: Buffer.alloc(0) }
  readonly #workers = new Set<Promise<void>>()
  #asking: Promise<void> | undefined
  #answeredAtMs = 0

  constructor(private readonly options: RevocationExchangeOptions) {
    const { book, registry } = options
    book.onChange(() => {
      this.#failed.clear()
      this.#handDown(registry.all().flatMap(({ owner }) => (owner.kind === 'client' ? [] : [owner.id])))
    })
    registry.onChange((event, { owner }) => {
      if (owner.kind === 'client') return
      if (event === 'opened') this.#handDown([owner.id])
      else this.#failed.delete(owner.id)
    })
  }

  /** When the policy server last answered which list is the newest; 0 for never, undefined where nobody is asked. */
  get answeredAtMs(): number | undefined {
    return this.options.hasUpper ? this.#answeredAtMs : undefined
  }

  /** Asks the policy server, and tries again what failed. Never rejects. */
  async look(): Promise<void> {
    const failed = [...this.#failed]
    this.#failed.clear()
    this.#handDown(failed)
    if (!this.options.hasUpper || this.#stopping.signal.aborted) return
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    await this.#asking
  }

  async #ask(): Promise<void> {
    const { book, neighbours, logger, now = Date.now } = this.options
    const outcome = await askForRevocations(neighbours, book, logger, this.#stopping.signal)
    if (outcome !== 'failed') this.#answeredAtMs = now()
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the relay stops'))
    await Promise.all([...this.#workers, this.#asking])
  }

  #handDown(ids: readonly string[]): void {
    if (this.options.book.text === '' || this.#stopping.signal.aborted) return
    for (const id of ids) this.#waiting.add(id)
    const missing = Math.min(HANDED_AT_ONCE - this.#workers.size, this.#waiting.size)
    for (let started = 0; started < missing; started += 1) {
      const worker = this.#work().finally(() => {
        this.#workers.delete(worker)
        this.#handDown([]) // who came as it ended
      })
      this.#workers.add(worker)
    }
  }

  async #work(): Promise<void> {
    for (const id of this.#waiting) {
      this.#waiting.delete(id)
      await this.#hand(id)
    }
  }

  /** The form of the present list, made once for all. */
  #form(): Buffer {
    const { text } = this.options.book
    if (this.#formOf.text !== text) {
      this.#formOf = { text, form: listForm(text) }
    }
    return this.#formOf.form
  }

  async #hand(id: string): Promise<void> {
    const { neighbours, logger } = this.options
    const form = this.#form()
    try {
      const outcome = await neighbours.linked(id)?.request({
        method: 'POST',
        path: REVOCATIONS_PATH,
        headers: { 'content-type': FORM },
        body: () => form,
        silenceLimitMs: SILENCE_MS,
        signal: this.#stopping.signal
      })
      if (outcome === undefined) return // its link has ended: the next one brings the list
      if (outcome.kind === 'unreachable') this.#failed.add(id)
      else outcome.body.resume().on('error', () => undefined)
      // an older program, or one that trusts by pins, refuses
      logger.debug({ id, outcome: outcome.kind }, 'handed the list of revoked certificates')
    } catch (err) {
      if (!this.#stopping.signal.aborted) logger.error({ err, id }, 'cannot hand down the list of revoked certificates')
    }
  }
}
