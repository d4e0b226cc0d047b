import { setTimeout as sleep } from 'node:timers/promises'
import type { LinkRegistry } from '../../links/upper/link-registry.js'
import type { UpperLink } from '../../links/upper/upper-link.js'
import { LogLimit } from '../../values/logging/log-limit.js'
import type { Logger } from '../../values/logging/logger.js'
import { type Backoff, backoffMs } from '../../values/time/backoff.js'
import { formatOpening } from '../streams/open-line.js'
import { AnnouncedReplicas, type Announcements, type AskedEnd } from './announced-replicas.js'
import type { Replica, ReplicaFacts } from './replica.js'
import { MAX_KEYS, type ServiceKeys } from './service-keys.js'

/** Replicas below all sub-relays together. */
export const MAX_REPLICAS_BELOW = 20_000
/** How long replicas are listed after their link was lost. */
const STALE_FOR_MS = 3_600_000
const ASK_AGAIN: Backoff = { firstMs: 1_000, maxMs: 60_000 }

export interface KeysBelowOptions {
  readonly registry: Pick<LinkRegistry, 'onChange'>
  readonly keys: ServiceKeys
  /** The id of this relay. */
  readonly selfId: string
  /** Whether an agent may offer a key. */
  readonly mayOffer: (nodeId: string, key: string) => boolean
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly now?: () => number
  readonly backoff?: Backoff
  readonly maxReplicas?: number
}

/** The replicas of one relay or agent whose link was lost. */
interface Away {
  readonly replicas: readonly Replica[]
  readonly timer: NodeJS.Timeout
}

/** Asks each relay and agent that holds a link, and may have services, for its keys, for as long as the link stands. */
export class KeysBelow implements Announcements {
  readonly #away = new Map<string, Away>()
  readonly #current = new Map<string, AnnouncedReplicas>()
  readonly #refusals: LogLimit
  #count = 0

  constructor(private readonly options: KeysBelowOptions) {
    this.#refusals = new LogLimit(options.logger)
  }

  /** Called once, before the first link opens. */
  start(): void {
    this.options.registry.onChange((event, link) => {
      if (event === 'opened' && link.hasServices && link.owner.kind !== 'client') void this.#follow(link)
    })
  }

  get selfId(): string {
    return this.options.selfId
  }

  take(replica: Replica, from: string): string | undefined {
    const { keys, maxReplicas = MAX_REPLICAS_BELOW } = this.options
    let why = this.whyNot(replica, from)
    if (this.#count >= maxReplicas) why ??= `${this.selfId} has ${maxReplicas} clients of sub-relays already`
    else if (!keys.hasRoomFor(replica.key) && replica.way !== undefined) {
      why = `${this.selfId} has ${MAX_KEYS} client keys already`
    }
    if (why !== undefined) {
      this.#refusals.warn(
        from,
        { id: from, key: replica.key, reason: why },
        'client key of a sub-relay or agent not taken'
      )
      return why
    }
    this.#count += 1
    keys.add(replica)
    return undefined
  }

  /** Drops what agents may not offer any more. They tell it again, and so it comes back where they may. */
  review(): void {
    for (const announced of this.#current.values()) announced.review()
  }

  whyNot(replica: Replica, from: string): string | undefined {
    const isOfAgent = replica.path.length === 0
    if (!isOfAgent || this.options.mayOffer(from, replica.key)) return undefined
    return `services.agent_keys of ${this.selfId} does not let ${from} offer it`
  }

  drop(replica: Replica): void {
    this.#count -= 1
    this.options.keys.remove(replica)
  }

  isComplete(from: string): void {
    this.#forgetAway(from)
  }

  isFaulty(from: string, problem: string): void {
    this.#refusals.warn(from, { id: from, problem }, 'sub-relay or agent tells of a client key that cannot be read')
  }

  /** The replicas stay in the list, without a way. */
  ended(announced: AnnouncedReplicas, from: string, replicas: readonly Replica[]): void {
    for (const replica of replicas) this.drop(replica)
    if (this.#current.get(from) !== announced) return // a newer link has told all
    this.#current.delete(from)
    const before = this.#away.get(from)?.replicas ?? []
    const { keys, now = Date.now } = this.options
    const nowMs = now()
    const away = replicas
      .map(replica => ({ ...factsOf(replica), way: undefined, staleSinceMs: replica.staleSinceMs ?? nowMs }))
      .filter(replica => keys.add(replica))
    clearTimeout(this.#away.get(from)?.timer)
    if (away.length + before.length === 0) return
    const timer = setTimeout(() => this.#forgetAway(from), STALE_FOR_MS).unref()
    this.#away.set(from, { replicas: [...before, ...away], timer })
  }

  #forgetAway(from: string): void {
    const away = this.#away.get(from)
    if (away === undefined) return
    this.#away.delete(from)
    clearTimeout(away.timer)
    for (const replica of away.replicas) this.options.keys.remove(replica)
  }

  async #follow(link: UpperLink): Promise<void> {
    let failures = 0
    while (link.isOpen) {
      const end = await this.#ask(link)
      if (end === 'ended') return
      failures = end === 'broken' ? 1 : failures + 1
      await sleep(backoffMs(failures, this.options.backoff ?? ASK_AGAIN), undefined, { ref: false })
    }
  }

  /** Asks for the keys. @returns why nothing more will be told; never rejects */
  async #ask(link: UpperLink): Promise<AskedEnd> {
    try {
      const connection = await link.streamLane.get()
      return await new Promise<AskedEnd>(resolve => {
        const stream = connection.open(formatOpening({ kind: 'keys' }))
        const announced = new AnnouncedReplicas(link, stream, this, resolve)
        stream.sink = announced
        this.#current.set(link.owner.id, announced)
      })
    } catch {
      return 'refused' // it has no stream connection, or the link is gone
    }
  }
}

function factsOf({ way: _way, ...facts }: Replica): ReplicaFacts {
  return facts
}
