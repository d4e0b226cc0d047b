import { POLICY_SERVER } from '../../hops/hop.js'
import { failureKind } from '../../values/failures/system-error.js'
import { LEASE_MS, RENEWAL_MS } from '../../values/time/lease.js'
import { keyName } from '../keeping/file-layout.js'
import type { QueuedFile } from '../keeping/file-record.js'
import type { KeyLock } from '../keeping/key-lock.js'
import { type AttemptResult, type OutboxAttemptParts, OutboxAttempts } from './outbox-attempts.js'
import type { DueEntries } from './outbox-repository.js'

/** Entries handed to one hop at once. */
const PARALLEL = 4
const PAGE = 100
const SHORTEST_WAIT_MS = 20
const NO_TREE_WAIT_MS = 1_000
const FAILED_LOOK_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 60_000
/** No attempt is ever put off for longer: one that seems to be was put off before the clock was set back, and is due. */
const FARTHEST_ATTEMPT_MS = 2 * LONGEST_WAIT_MS

/** The hop of entries that have none: the tree has changed since they were accepted. */
const NO_HOP = ''

const ANY_TIME: DueEntries = {
  nowMs: Number.MAX_SAFE_INTEGER,
  latestMs: Number.MAX_SAFE_INTEGER,
  withUnreached: false
}

/** The handing on of all entries of one hop. */
interface Drain {
  readonly hop: string
  readonly targets: Set<string>
  /** Entries that it has claimed, and not handed on yet. */
  readonly claimed: Set<string>
}

export interface OutboxWorkerParts extends OutboxAttemptParts {
  readonly lock: KeyLock
}

/**
 * Tries the entries of the outbox. A hop that could not be reached is tried with one entry when its wait is over; only
 * when that one arrives do the others follow, a few at a time.
 */
export class OutboxWorker {
  readonly #runs = new Map<string, Promise<void>>()
  readonly #attempts = new Map<string, AbortController>()
  /** Entries that this worker has claimed, and is not done with. */
  readonly #claimed = new Set<string>()
  /** Hops that came back while entries were still handed to them, the old way maybe. */
  readonly #cameBack = new Set<string>()
  readonly #entryAttempts: OutboxAttempts
  /** The kind of failure that the log has, by hop; undefined: of a look at all of them. */
  readonly #told = new Map<string | undefined, string>()
  #timer: NodeJS.Timeout | undefined
  #renewal: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined
  #isToLookAgain = false
  #isRunning = false

  constructor(private readonly parts: OutboxWorkerParts) {
    this.#entryAttempts = new OutboxAttempts(parts)
  }

  start(): void {
    this.#isRunning = true
    this.#renewal = setInterval(() => this.#renewClaims(), RENEWAL_MS).unref()
    this.pump()
  }

  /** Looks now for what can be tried. */
  pump(): void {
    if (!this.#isRunning) return
    this.#isToLookAgain = true
    this.#looking ??= this.#lookUntilDone().finally(() => {
      this.#looking = undefined
    })
  }

  /** A link of this hop has opened: what waits for it goes now. */
  hopIsBack(hop: string): void {
    this.#takeUp(hop)
      .catch(() => this.parts.backoff.succeeded(hop)) // the look that follows reads the same, and tells why it fails
      .finally(() => this.pump())
  }

  /** Ends a try that is under way. */
  interrupt(id: string): void {
    this.#attempts.get(id)?.abort()
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    clearTimeout(this.#timer)
    clearInterval(this.#renewal)
    for (const controller of this.#attempts.values()) controller.abort()
    await this.#looking
    await Promise.all(this.#runs.values())
  }

  /** Looks once more when something has come meanwhile. Never rejects. */
  async #lookUntilDone(): Promise<void> {
    while (this.#isToLookAgain && this.#isRunning) {
      this.#isToLookAgain = false
      try {
        this.#wakeAfter(await this.#look())
        this.#told.delete(undefined)
      } catch (error) {
        this.#tell(error, undefined)
        this.#wakeAfter(FAILED_LOOK_WAIT_MS)
      }
    }
  }

  #wakeAfter(waitMs: number | undefined): void {
    clearTimeout(this.#timer)
    this.#timer = waitMs === undefined || !this.#isRunning ? undefined : setTimeout(() => this.pump(), waitMs).unref()
  }

  /** Begins with what can be tried now. @returns how long until there is more; undefined: nothing waits */
  async #look(): Promise<number | undefined> {
    const { repository, backoff, topology, now } = this.parts
    if (topology().version === 0) return NO_TREE_WAIT_MS // nobody is known: that says nothing of who is waited for
    let wakeAtMs = Number.POSITIVE_INFINITY
    for (const [hop, targets] of await this.#targetsByHop()) {
      if (this.#runs.has(hop)) continue
      const nextDueMs = (await repository.nextDue(targets, now() + FARTHEST_ATTEMPT_MS)) ?? Number.POSITIVE_INFINITY
      const dueAtMs = Math.max(now() + backoff.waitMs(hop), nextDueMs)
      if (dueAtMs <= now()) this.#begin(hop, targets)
      else wakeAtMs = Math.min(wakeAtMs, dueAtMs)
    }
    if (wakeAtMs === Number.POSITIVE_INFINITY) return undefined
    return Math.min(LONGEST_WAIT_MS, Math.max(SHORTEST_WAIT_MS, wakeAtMs - now()))
  }

  async #targetsByHop(): Promise<Map<string, string[]>> {
    const { repository, topology } = this.parts
    const byHop = new Map<string, string[]>()
    for (const target of await repository.targets()) {
      const route = topology().route(target)
      const hop = route.kind === 'down' ? route.hop : route.kind === 'up' ? POLICY_SERVER : NO_HOP
      const targets = byHop.get(hop)
      if (targets === undefined) byHop.set(hop, [target])
      else targets.push(target)
    }
    return byHop
  }

  #begin(hop: string, targets: readonly string[]): void {
    if (this.#runs.has(hop) || !this.#isRunning) return
    const run = this.#drain(hop, targets)
      .then(() => void this.#told.delete(hop))
      .catch(error => {
        this.parts.backoff.failed(hop) // or it would be tried again at once
        this.#tell(error, hop)
      })
      .finally(() => {
        this.#runs.delete(hop)
        if (this.#cameBack.delete(hop)) this.hopIsBack(hop)
        else this.pump()
      })
    this.#runs.set(hop, run)
  }

  /** Logs a failure once: a disk may refuse for hours, and every request for a file may cause a look. */
  #tell(err: unknown, hop: string | undefined): void {
    const kind = failureKind(err)
    if (this.#told.get(hop) !== kind) {
      this.parts.logger.error(hop === undefined ? { err } : { err, hop }, 'cannot process the outbox')
    }
    this.#told.set(hop, kind)
  }

  async #takeUp(hop: string): Promise<void> {
    const { backoff, topology } = this.parts
    const isKnown = this.#isRunning && topology().version > 0
    const targets = isKnown ? (await this.#targetsByHop()).get(hop) : undefined
    if (!this.#isRunning || targets === undefined) return void backoff.succeeded(hop)
    backoff.revive(hop)
    if (this.#runs.has(hop)) this.#cameBack.add(hop)
    else this.#begin(hop, targets)
  }

  /** Passes on all due entries of a hop. */
  async #drain(hop: string, targets: readonly string[]): Promise<void> {
    const drain = { hop, targets: new Set(targets), claimed: new Set<string>() }
    try {
      await this.#handOnAll(drain)
    } finally {
      for (const id of drain.claimed) this.#claimed.delete(id)
      await this.parts.repository.giveBack([...drain.claimed])
    }
  }

  async #claim(drain: Drain, due: DueEntries, limit: number): Promise<QueuedFile[]> {
    const claimed = await this.parts.repository.claimDue([...drain.targets], due, limit, LEASE_MS)
    const entries = claimed.filter(({ id }) => !this.#claimed.has(id)) // one whose lease has ended is at work still
    for (const { id } of entries) {
      drain.claimed.add(id)
      this.#claimed.add(id)
    }
    return entries
  }

  async #handOnAll(drain: Drain): Promise<void> {
    const { backoff, now } = this.parts
    const isProbing = backoff.isDoubtful(drain.hop)
    if (isProbing) {
      const [probe] = await this.#claim(drain, ANY_TIME, 1) // the one that was tried least lately
      if (probe === undefined || (await this.#handOn(drain, probe)) === 'unreachable') return
    }
    let goesOn = true
    for (let isMore = true; isMore && goesOn && this.#isRunning; ) {
      const due = { nowMs: now(), latestMs: now() + FARTHEST_ATTEMPT_MS, withUnreached: isProbing }
      const page = await this.#claim(drain, due, PAGE)
      isMore = page.length === PAGE // a look that finds nothing costs as much
      const work = async () => {
        for (let entry = page.shift(); entry !== undefined && goesOn && this.#isRunning; entry = page.shift()) {
          try {
            if ((await this.#handOn(drain, entry)) === 'unreachable') goesOn = false
          } catch (error) {
            goesOn = false
            throw error
          }
        }
      }
      // All of them: the claims are given back next, and an entry that is still under way would be delivered again.
      const ends = await Promise.allSettled(Array.from({ length: PARALLEL }, work))
      for (const end of ends) if (end.status === 'rejected') throw end.reason
    }
  }

  /** Tries an entry, which is claimed no longer than that: it may be retried, or its target moved, long before a drain is over. */
  async #handOn(drain: Drain, entry: QueuedFile): Promise<AttemptResult> {
    const result = await this.#attempt(drain.hop, entry)
    drain.claimed.delete(entry.id)
    this.#claimed.delete(entry.id)
    if (result === 'moved') drain.targets.delete(entry.target) // or it would be claimed again at once
    if (result === 'moved' || result === 'left') await this.parts.repository.giveBack([entry.id])
    if (result === 'moved') this.pump()
    return result
  }

  async #attempt(hop: string, { id, ...claimedAs }: QueuedFile): Promise<AttemptResult> {
    const release = await this.parts.lock.acquire(keyName(claimedAs))
    const controller = new AbortController()
    this.#attempts.set(id, controller)
    try {
      const entry = await this.parts.repository.find(id)
      if (!this.#isRunning || entry === undefined || entry.state !== 'pending') return 'left'
      return await this.#entryAttempts.attempt(hop, entry, controller.signal)
    } catch (error) {
      if (controller.signal.aborted) return 'left'
      await this.#entryAttempts.putOff({ id, ...claimedAs }, error)
      throw error
    } finally {
      this.#attempts.delete(id)
      release()
    }
  }

  #renewClaims(): void {
    if (this.#claimed.size === 0) return
    const { repository, logger } = this.parts
    repository
      .renew([...this.#claimed], LEASE_MS)
      .then(lost => {
        for (const id of lost) this.interrupt(id)
      })
      .catch(error => logger.warn({ err: error }, 'cannot renew claims on outbox entries'))
  }
}
