import { POLICY_SERVER } from '../../hops/hop.js'
import { keyName } from '../keeping/file-layout.js'
import type { KeyLock } from '../keeping/key-lock.js'
import { type AttemptResult, createOutboxAttempt, type OutboxAttemptParts } from './outbox-attempt.js'

/** Entries handed to one hop at once. */
const PARALLEL = 4
const PAGE = 100
const SHORTEST_WAIT_MS = 20
const NO_TREE_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 60_000
/** No attempt is ever put off for longer: one that seems to be was put off before the clock was set back, and is due. */
const FARTHEST_ATTEMPT_MS = 2 * LONGEST_WAIT_MS

/** Where entries wait that go to no hop: the tree has changed since they were accepted. */
const NO_HOP = ''

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
  const { store, health, now, logger } = parts
  const runs = new Map<string, Promise<void>>()
  const attempts = new Map<string, AbortController>()
  /** Hops that came back while entries were still handed to them, the old way maybe. */
  const cameBack = new Set<string>()
  const attemptRow = createOutboxAttempt(parts)
  let timer: NodeJS.Timeout | undefined
  let isRunning = false

  function targetsByHop(): Map<string, string[]> {
    const byHop = new Map<string, string[]>()
    for (const target of store.targets()) {
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
    clearTimeout(timer)
    timer = undefined
    if (parts.topology().version === 0) {
      timer = setTimeout(pump, NO_TREE_WAIT_MS).unref() // nobody is known, which says nothing of those who are waited for
      return
    }
    let wakeAtMs = Number.POSITIVE_INFINITY
    for (const [hop, targets] of targetsByHop()) {
      if (runs.has(hop)) continue
      const nextDueMs = store.nextDue(targets, now() + FARTHEST_ATTEMPT_MS) ?? Number.POSITIVE_INFINITY
      const dueAtMs = Math.max(now() + health.waitMs(hop), nextDueMs)
      if (dueAtMs <= now()) begin(hop, targets)
      else wakeAtMs = Math.min(wakeAtMs, dueAtMs)
    }
    if (wakeAtMs === Number.POSITIVE_INFINITY) return
    timer = setTimeout(pump, Math.min(LONGEST_WAIT_MS, Math.max(SHORTEST_WAIT_MS, wakeAtMs - now())))
    timer.unref()
  }

  function begin(hop: string, targets: readonly string[]): void {
    const run = drain(hop, targets)
      .catch(error => {
        health.failed(hop) // or it would be tried again at once
        logger.error({ err: error, hop }, 'cannot process the outbox')
      })
      .finally(() => {
        runs.delete(hop)
        if (cameBack.delete(hop)) hopIsBack(hop)
        pump()
      })
    runs.set(hop, run)
  }

  function hopIsBack(hop: string): void {
    const targets = parts.topology().version === 0 ? undefined : targetsByHop().get(hop)
    if (!isRunning || targets === undefined) return void health.succeeded(hop)
    health.revive(hop)
    if (runs.has(hop)) cameBack.add(hop)
    else begin(hop, targets)
  }

  async function drain(hop: string, targets: readonly string[]): Promise<void> {
    const isProbing = health.isDoubtful(hop)
    if (isProbing) {
      const probe = store.probe(targets)
      if (probe === undefined || (await attempt(hop, probe)) === 'unreachable') return
    }
    const tried = new Set<string>()
    let isReachable = true
    while (isRunning && isReachable) {
      const page = store
        .due(targets, { nowMs: now(), latestMs: now() + FARTHEST_ATTEMPT_MS }, isProbing, PAGE + tried.size)
        .filter(id => !tried.has(id))
      if (page.length === 0) return
      for (const id of page) tried.add(id)
      const work = async () => {
        for (let id = page.shift(); id !== undefined && isReachable && isRunning; id = page.shift()) {
          if ((await attempt(hop, id)) === 'unreachable') isReachable = false
        }
      }
      await Promise.all(Array.from({ length: PARALLEL }, work))
    }
  }

  async function attempt(hop: string, id: string): Promise<AttemptResult> {
    const first = store.find(id)
    if (first === undefined) return 'over'
    const release = await parts.lock.acquire(keyName(first))
    const controller = new AbortController()
    attempts.set(id, controller)
    try {
      const row = store.find(id)
      if (!isRunning || row === undefined || row.state !== 'pending') return 'over'
      return await attemptRow(hop, row, controller.signal)
    } catch (error) {
      if (controller.signal.aborted) return 'over'
      throw error
    } finally {
      attempts.delete(id)
      release()
    }
  }

  return {
    start() {
      isRunning = true
      pump()
    },
    pump,
    hopIsBack,
    interrupt: id => attempts.get(id)?.abort(),
    async stop() {
      isRunning = false
      clearTimeout(timer)
      for (const controller of attempts.values()) controller.abort()
      await Promise.all(runs.values())
    }
  }
}
