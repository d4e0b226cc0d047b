import type { Logger } from '../values/logging/logger.js'
import type { Hop } from './hop.js'
import type { KnownNeighbours } from './known-neighbours.js'

/** How often a neighbour of which it is not clear what it is now is asked, at most. */
const PROBE_EVERY_MS = 60_000

export interface RelayRecognitionOptions {
  readonly known: KnownNeighbours
  readonly logger: Logger
  /** @default Date.now */
  readonly now?: (() => number) | undefined
}

/** Recognizes Treeline relays among the neighbours, by what their answers show. */
export class RelayRecognition {
  readonly #now: () => number
  readonly #probeClock: () => number
  readonly #lastProbes = new Map<string, number>()

  constructor(private readonly options: RelayRecognitionOptions) {
    this.#now = options.now ?? Date.now
    this.#probeClock = options.now ?? (() => performance.now())
  }

  isTreeline(id: string): boolean {
    return this.options.known.version(id) !== undefined
  }

  /** Remembers a neighbour that has answered as a Treeline relay. */
  remember(id: string, version: string): void {
    const { known, logger } = this.options
    known.remember(id, version, this.#now()).catch((err: unknown) => {
      logger.error({ err, hop: id }, 'cannot record that a neighbour is a Treeline relay')
    })
  }

  /** Forgets a neighbour that has answered as something else. */
  forget(id: string): void {
    const { known, logger } = this.options
    known.forget(id).then(
      isForgotten => {
        if (isForgotten) logger.warn({ hop: id }, 'neighbour is no longer a Treeline relay')
      },
      (err: unknown) => logger.error({ err, hop: id }, 'cannot record that a neighbour is no longer a Treeline relay')
    )
  }

  /**
   * Asks a doubtful neighbour for something harmless, at times. Only an action tells a relay that was put back from a
   * proxy in front of one that is down.
   */
  probe(hop: Hop): void {
    const atMs = this.#probeClock()
    if (atMs - (this.#lastProbes.get(hop.id) ?? Number.NEGATIVE_INFINITY) < PROBE_EVERY_MS) return
    this.#lastProbes.set(hop.id, atMs)
    hop.request({ method: 'GET', path: 'system/info', headers: {} }).then(
      answer => answer.kind !== 'unreachable' && answer.body.destroy(),
      (err: unknown) => this.options.logger.error({ err, hop: hop.id }, 'cannot ask a neighbour for its version')
    )
  }
}
