import { Readable } from 'node:stream'
import type { Neighbours } from '../../hops/hop.js'
import type { LinkRegistry } from '../../links/upper/link-registry.js'
import type { RevocationBook } from '../../membership/revocations/revocation-book.js'
import { askForRevocations, listForm, REVOCATIONS_PATH } from '../../membership/revocations/revocation-inquiry.js'
import { FORM } from '../../network/header-names.js'
import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { IdQueue } from './id-queue.js'

/** Relays and nodes that are handed the list at once. */
export const HANDED_AT_ONCE = 16
/** The same of those that did not answer last time: they must not hold up all others. */
export const SILENT_AT_ONCE = 4
const SILENCE_MS = 10_000
/** Each connection keeps, outside the heap, what was written into it at once, for as long as it stands. */
const PIECE_BYTES = 16 * 1024

export interface RevocationExchangeOptions {
  readonly book: RevocationBook
  readonly neighbours: Pick<Neighbours, 'up' | 'linked'>
  readonly registry: Pick<LinkRegistry, 'all' | 'onChange'>
  /** False at the root, which makes the list. */
  readonly hasUpper: boolean
  /** Asks the root whether the list here is the newest; undefined where nobody is to be asked. */
  readonly confirm?: ((stopping: AbortSignal) => Promise<boolean | undefined>) | undefined
  readonly logger: Logger
  readonly now?: () => number
}

/**
 * The way of the list of revoked certificates: this relay asks its policy server for it, and hands it to whoever holds a
 * link here, once for each list and link. An agent would need a connection of its own to ask.
 */
export class RevocationExchange {
  readonly #stopping = new AbortController()
  readonly #answering = new IdQueue(HANDED_AT_ONCE, id => this.#hand(id))
  readonly #silent = new IdQueue(SILENT_AT_ONCE, id => this.#hand(id))
  /** The relays and nodes that could not get the list last time, until they are handed it again. */
  readonly #failed = new Set<string>()
  #formOf: { readonly text: string; readonly form: Buffer } = { text: '', form: Buffer.alloc(0) }
  #asking: Promise<void> | undefined
  #answeredAtMs = 0

  constructor(private readonly options: RevocationExchangeOptions) {
    const { book, registry } = options
    book.onChange(() => {
      const ids = registry.all().flatMap(({ owner }) => (owner.kind === 'client' ? [] : [owner.id]))
      this.#silent.add(ids.filter(id => this.#failed.has(id)))
      this.#answering.add(ids.filter(id => !this.#failed.has(id)))
    })
    registry.onChange((event, { owner }) => {
      if (owner.kind === 'client') return
      this.#failed.delete(owner.id)
      this.#silent.delete(owner.id)
      if (event === 'opened' && book.text !== '') this.#answering.add([owner.id])
    })
  }

  /** When the policy server last answered which list is the newest; 0 for never, undefined where nobody is asked. */
  get answeredAtMs(): number | undefined {
    return this.options.hasUpper ? this.#answeredAtMs : undefined
  }

  /** Asks the policy server, and tries again what failed. Never rejects. */
  async look(): Promise<void> {
    this.#silent.add(this.#failed)
    if (!this.options.hasUpper || this.#stopping.signal.aborted) return
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    await this.#asking
  }

  async #ask(): Promise<void> {
    const { book, neighbours, logger, now = Date.now } = this.options
    const { signal } = this.#stopping
    for (let tries = 0; tries < 2; tries += 1) {
      const outcome = await askForRevocations(neighbours, book, logger, signal)
      if (outcome === 'failed') return
      this.#answeredAtMs = now()
      if ((await this.#confirm()) !== false) return // else the root has a newer one: it is on its way
    }
  }

  async #confirm(): Promise<boolean | undefined> {
    const { confirm, logger } = this.options
    try {
      return await confirm?.(this.#stopping.signal)
    } catch (error) {
      if (!this.#stopping.signal.aborted) {
        logger.debug({ reason: errorMessage(error) }, 'the root does not confirm the list of revocations')
      }
      return undefined
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the relay stops'))
    await Promise.all([this.#answering.close(), this.#silent.close(), this.#asking])
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
    this.#failed.delete(id)
    try {
      const outcome = await neighbours.linked(id)?.request({
        method: 'POST',
        path: REVOCATIONS_PATH,
        headers: { 'content-type': FORM, 'content-length': String(form.length) },
        body: () => inPieces(form),
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

function inPieces(form: Buffer): Readable | Buffer {
  if (form.length <= PIECE_BYTES) return form
  return Readable.from(pieces(form), { objectMode: false, highWaterMark: PIECE_BYTES })
}

function* pieces(form: Buffer): Generator<Buffer> {
  for (let start = 0; start < form.length; start += PIECE_BYTES) yield form.subarray(start, start + PIECE_BYTES)
}
