import { POLICY_SERVER } from '../../hops/hop.js'
import { keyName } from '../keeping/file-layout.js'
import type { QueuedFile } from '../keeping/file-record.js'
import type { KeyLock } from '../keeping/key-lock.js'
import { type AttemptResult, createOutboxAttempt, type OutboxAttemptParts } from './outbox-attempt.js'
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

/** A claim on an entry ends by itself so long after it was renewed last, as when this process is gone. */
const LEASE_MS = 60_000
const RENEWAL_MS = 20_000

/** Where entries wait that go to no hop: the tree has changed since they were accepted. */
const NO_HOP = ''

const ANY_TIME: DueEntries = {
  nowMs: Number.MAX_SAFE_INTEGER,
  latestMs: Number.MAX_SAFE_INTEGER,
  withUnreached: false
}

type Claim = (due: DueEntries, limit: number) => Promise<QueuedFile[]>

export interface OutboxWorkerParts extends OutboxAttemptParts {
  readonly lock: KeyLock
}

/**
 * Tries the entries of the outbox. A hop that could not be reached is tried with one entry when its wait is over; only
 * when that one arrives do the others follow, a few at a time.
 */
export interface OutboxWorker {
  start(): void
  /** Looks now for what can be tried. */
  pump(): void
  /** A link of this hop has opened: what waits for it goes now. */
  hopIsBack(hop: string): void
  /** Ends a try that is under way. */
  interrupt(id: string): void
  stop(): Promise<void>
}

export function createOutboxWorker(parts: OutboxWorkerParts): OutboxWorker {
  const { repository, backoff, now, logger } = parts
  const runs = new Map<string, Promise<void>>()
  const attempts = new Map<string, AbortController>()
  /** Entries that this worker has claimed; what came of them is known to the repository. */
  const claimed = new Set<string>()
  /** Hops that came back while entries were still handed to them, the old way maybe. */
  const cameBack = new Set<string>()
  const attemptEntry = createOutboxAttempt(parts)
  let timer: NodeJS.Timeout | undefined
  let renewal: NodeJS.Timeout | undefined
  let looking: Promise<void> | undefined
  let isToLookAgain = false
  let isRunning = false

  async function targetsByHop(): Promise<Map<string, string[]>> {
    const byHop = new Map<string, string[]>()
    for (const target of await repository.targets()) {
      const route = parts.topology().route(target)
      const hop = route.kind === 'down' ? route.hop : route.kind === 'up' ? POLICY_SERVER : NO_HOP
      const targets = byHop.get(hop)
      if (targets === undefined) byHop.set(hop, [target])
      else targets.push(target)
    }
    return byHop
  }

  function pump(): void {
    if (!isRunning) return
    isToLookAgain = true
    looking ??= lookUntilDone().finally(() => {
      looking = undefined
    })
  }

  /** Looks once more when something has come meanwhile. Never rejects. */
  async function lookUntilDone(): Promise<void> {
    while (isToLookAgain && isRunning) {
      isToLookAgain = false
      try {
        wakeAfter(await look())
      } catch (error) {
        logger.error({ err: error }, 'cannot process the outbox')
        wakeAfter(FAILED_LOOK_WAIT_MS)
      }
    }
  }

  function wakeAfter(waitMs: number | undefined): void {
    clearTimeout(timer)
    timer = waitMs === undefined || !isRunning ? undefined : setTimeout(pump, waitMs).unref()
  }

  /** Begins with what can be tried now. @returns how long until there is more; undefined: nothing waits */
  async function look(): Promise<number | undefined> {
    if (parts.topology().version === 0) return NO_TREE_WAIT_MS // nobody is known: that says nothing of who is waited for
    let wakeAtMs = Number.POSITIVE_INFINITY
    for (const [hop, targets] of await targetsByHop()) {
      if (runs.has(hop)) continue
      const nextDueMs = (await repository.nextDue(targets, now() + FARTHEST_ATTEMPT_MS)) ?? Number.POSITIVE_INFINITY
      const dueAtMs = Math.max(now() + backoff.waitMs(hop), nextDueMs)
      if (dueAtMs <= now()) begin(hop, targets)
      else wakeAtMs = Math.min(wakeAtMs, dueAtMs)
    }
    if (wakeAtMs === Number.POSITIVE_INFINITY) return undefined
    return Math.min(LONGEST_WAIT_MS, Math.max(SHORTEST_WAIT_MS, wakeAtMs - now()))
  }

  function begin(hop: string, targets: readonly string[]): void {
    if (runs.has(hop) || !isRunning) return
    const run = drain(hop, targets)
      .catch(error => {
        backoff.failed(hop) // or it would be tried again at once
        logger.error({ err: error, hop }, 'cannot process the outbox')
      })
      .finally(() => {
        runs.delete(hop)
        if (cameBack.delete(hop)) hopIsBack(hop)
        else pump()
      })
    runs.set(hop, run)
  }

  function hopIsBack(hop: string): void {
    takeUp(hop)
      .catch(error => {
        backoff.succeeded(hop)
        if (isRunning) logger.error({ err: error, hop }, 'cannot process the outbox')
      })
      .finally(pump)
  }

  async function takeUp(hop: string): Promise<void> {
    const isKnown = isRunning && parts.topology().version > 0
    const targets = isKnown ? (await targetsByHop()).get(hop) : undefined
    if (!isRunning || targets === undefined) return void backoff.succeeded(hop)
    backoff.revive(hop)
    if (runs.has(hop)) cameBack.add(hop)
    else begin(hop, targets)
  }

  /** What is claimed stays so until its end: what came to nothing is not tried twice. */
  async function drain(hop: string, targets: readonly string[]): Promise<void> {
    const mine: string[] = []
    async function claim(due: DueEntries, limit: number): Promise<QueuedFile[]> {
      const entries = await repository.claimDue(targets, due, limit, LEASE_MS)
      for (const { id } of entries) {
        mine.push(id)
        claimed.add(id)
      }
      return entries
    }
    try {
      await handOnAll(hop, claim)
    } finally {
      for (const id of mine) claimed.delete(id)
      await repository.giveBack(mine)
    }
  }

  async function handOnAll(hop: string, claim: Claim): Promise<void> {
    const isProbing = backoff.isDoubtful(hop)
    if (isProbing) {
      const [probe] = await claim(ANY_TIME, 1) // the one that was tried least lately
      if (probe === undefined || (await attempt(hop, probe)) === 'unreachable') return
    }
    let isReachable = true
    while (isRunning && isReachable) {
      const due = { nowMs: now(), latestMs: now() + FARTHEST_ATTEMPT_MS, withUnreached: isProbing }
      const page = await claim(due, PAGE)
      if (page.length === 0) return
      const work = async () => {
        for (let entry = page.shift(); entry !== undefined && isReachable && isRunning; entry = page.shift()) {
          if ((await attempt(hop, entry)) === 'unreachable') isReachable = false
        }
      }
      await Promise.all(Array.from({ length: PARALLEL }, work))
    }
  }

  async function attempt(hop: string, { id, ...claimedAs }: QueuedFile): Promise<AttemptResult> {
    const release = await parts.lock.acquire(keyName(claimedAs))
    const controller = new AbortController()
    attempts.set(id, controller)
    try {
      const entry = await repository.find(id)
      if (!isRunning || entry === undefined || entry.state !== 'pending') return 'over'
      return await attemptEntry(hop, entry, controller.signal)
    } catch (error) {
      if (controller.signal.aborted) return 'over'
      throw error
    } finally {
      attempts.delete(id)
      release()
    }
  }

  function renewClaims(): void {
    if (claimed.size === 0) return
    repository
      .renew([...claimed], LEASE_MS)
      .catch(error => logger.warn({ err: error }, 'cannot renew claims on outbox entries'))
  }

  return {
    start() {
      isRunning = true
      renewal = setInterval(renewClaims, RENEWAL_MS).unref()
      pump()
    },
    pump,
    hopIsBack,
    interrupt: id => attempts.get(id)?.abort(),
    async stop() {
      isRunning = false
      clearTimeout(timer)
      clearInterval(renewal)
      for (const controller of attempts.values()) controller.abort()
      await looking
      await Promise.all(runs.values())
    }
  }
}
