import type { Neighbours } from '../hops/hop.js'
import type { Tree } from '../tree/tree-service.js'
import type { Logger } from '../values/logging/logger.js'
import type { TreeVersion, TreeVersions } from './tree-versions.js'

/** The path of the notice to a relay below that its part has changed, as a `HopRequest` has it. */
export const NOTICE_PATH = 'v1/tree/changed'
/** Relays that are told of changes. */
const MAX_SUBSCRIBERS = 20_000
/** Relays being told at once. */
const NOTICES_AT_ONCE = 16
const NOTICE_SILENCE_MS = 10_000

export interface TreeNoticesOptions {
  readonly tree: Pick<Tree, 'onChange'>
  readonly versions: TreeVersions
  readonly neighbours: Pick<Neighbours, 'down'>
  readonly logger: Logger
}

/** Tells relays below that their part of the tree has changed. */
export class TreeNotices {
  /** The version that each relay was given or told of last. */
  readonly #subscribers = new Map<string, string>()
  readonly #stopping = new AbortController()
  readonly #unsubscribe: () => void
  #telling: Promise<void> | undefined
  #isStale = false

  constructor(private readonly options: TreeNoticesOptions) {
    this.#unsubscribe = options.tree.onChange(() => this.tellOfChanges())
  }

  /** `relay` has `version` now, and is told of every later one. */
  subscribe(relay: string, version: string): void {
    if (this.#subscribers.size < MAX_SUBSCRIBERS || this.#subscribers.has(relay)) this.#subscribers.set(relay, version)
  }

  /** Forgets the version of `relay`, whose answer broke off: it is told again, even where its part stays the same. */
  forgetVersionOf(relay: string): void {
    if (this.#subscribers.has(relay)) this.#subscribers.set(relay, '')
  }

  /** Looks at all subscribers, and tells the ones whose part has changed. */
  tellOfChanges(): void {
    if (this.#subscribers.size === 0 || this.#stopping.signal.aborted) return
    this.#isStale = true
    this.#telling ??= this.#tellAll()
      .catch((error: unknown) => {
        this.options.logger.error({ err: error }, 'cannot notify relays below of a new tree')
      })
      .finally(() => {
        this.#telling = undefined
      })
  }

  /** Resolves when no relay is being told. */
  async stop(): Promise<void> {
    this.#unsubscribe()
    this.#stopping.abort(new Error('the relay stops'))
    await this.#telling
  }

  async #tellAll(): Promise<void> {
    while (this.#isStale && !this.#stopping.signal.aborted) {
      this.#isStale = false
      const changed = this.#takeChanged(await this.options.versions.current())
      const next = changed.values()
      const workers = Array.from({ length: Math.min(NOTICES_AT_ONCE, changed.length) }, async () => {
        for (const relay of next) await this.#tell(relay)
      })
      await Promise.all(workers)
    }
  }

  /** Subscribers whose part is another one in `version`; from now on they count as told. */
  #takeChanged(version: TreeVersion): string[] {
    const { topology } = version
    const changed: string[] = []
    for (const [relay, told] of this.#subscribers) {
      if (relay === topology.selfId || topology.route(relay).kind !== 'here') {
        this.#subscribers.delete(relay)
        continue
      }
      const digest = this.options.versions.digestOf(version, relay)
      if (digest === told) continue
      this.#subscribers.set(relay, digest)
      changed.push(relay)
    }
    return changed
  }

  async #tell(relay: string): Promise<void> {
    const { neighbours, logger } = this.options
    const { signal } = this.#stopping
    if (signal.aborted) return
    try {
      const outcome = await neighbours.down(relay).request({
        method: 'POST',
        path: NOTICE_PATH,
        headers: {},
        silenceLimitMs: NOTICE_SILENCE_MS,
        signal
      })
      if (outcome.kind !== 'unreachable') outcome.body.resume().on('error', () => undefined)
      // it will ask by itself; one that does not want to know is left alone until it asks again
      if (outcome.kind === 'refused') this.#subscribers.delete(relay)
      logger.debug({ relay, outcome: outcome.kind }, 'notified relay of its new tree')
    } catch (error) {
      if (!signal.aborted) logger.debug({ relay, err: error }, 'cannot notify relay of its new tree')
    }
  }
}
