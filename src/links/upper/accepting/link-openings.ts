import { LogLimit } from '../../../values/logging/log-limit.js'
import type { Logger } from '../../../values/logging/logger.js'
import type { LinkOwner, UpperLink } from '../upper-link.js'

/** Links that one relay or node may open within a minute. Treeline waits half a second after the first loss of its link, and soon longer. */
export const MAX_OPENINGS = 120
const MINUTE_MS = 60_000

/**
 * Bounds what links that are opened again and again cause: each opening has the outbox looked through and the list of
 * revoked certificates handed over, and is told of in the log.
 */
export class LinkOpenings {
  readonly #log: LogLimit
  readonly #ofMinute = new Map<string, number>()
  #minuteBeganMs = Number.NEGATIVE_INFINITY

  /** @param maxLinks the number of relays and nodes that have log lines of their own: after a restart, all of them open a link */
  constructor(
    logger: Logger,
    maxLinks: number,
    private readonly now: () => number = () => performance.now()
  ) {
    this.#log = new LogLimit(logger, { linesInAll: Number.POSITIVE_INFINITY, maxSources: maxLinks })
  }

  /** Whether this owner may open one more link now, which then counts. A client's links have bounds of their own. */
  take({ kind, id }: LinkOwner): boolean {
    if (kind === 'client') return true
    if (this.now() - this.#minuteBeganMs >= MINUTE_MS) {
      this.#minuteBeganMs = this.now()
      this.#ofMinute.clear()
    }
    const before = this.#ofMinute.get(id) ?? 0
    if (before >= MAX_OPENINGS) return false
    this.#ofMinute.set(id, before + 1)
    return true
  }

  /** Logs that a link has opened, and in time that it is lost. */
  log({ owner: { kind, id }, remoteAddress, closed }: UpperLink): void {
    const whose = `${kind} ${id}`
    this.#log.info(whose, { id, kind, remoteAddress }, 'link opened')
    void closed.then(reason => this.#log.info(whose, { id, kind, remoteAddress, reason }, 'link lost'))
  }
}
