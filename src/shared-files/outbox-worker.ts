import type { Commit } from '../storage/group-commit.js'
import type { OutboxRow, OutboxStore } from '../storage/outbox-store.js'
import type { Neighbours } from '../tree/hop.js'
import { POLICY_SERVER } from '../tree/hop.js'
import type { CurrentTopology } from '../tree/topology.js'
import type { FileKey } from '../values/ids.js'
import type { Logger } from '../values/logger.js'
import { parsePassed } from '../values/passed-relays.js'
import { RelayError } from '../values/relay-error.js'
import { keyName } from './file-layout.js'
import type { HandedDown } from './handed-down.js'
import { backoffMs, type HopHealth } from './hop-health.js'
import { type TransferResult, transfer } from './hop-transfer.js'
import type { KeyLock } from './key-lock.js'
import { type NextStep, nextStep } from './next-step.js'
import type { SharedFilesObserver } from './observer.js'
import type { Outbox } from './outbox.js'

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

export interface OutboxWorkerParts {
  readonly selfId: string
  readonly store: OutboxStore
  readonly outbox: Outbox
  readonly commit: Commit
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  readonly health: HopHealth
  readonly handedDown: HandedDown
  readonly lock: KeyLock
  /** Puts an entry's file in place here, and removes the entry. The key's lock is held. */
  readonly keepHere: (row: OutboxRow) => Promise<void>
  /** Removes an older copy that is kept here on the hop's behalf. The key's lock is held. */
  readonly removeKept: (key: FileKey) => Promise<void>
  readonly takesLinks: boolean
  readonly now: () => number
  readonly random: () => number
  readonly logger: Logger
  readonly observer: SharedFilesObserver
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

/** `over` when the entry needs nothing more, for now or ever; `unreachable` when its hop does. */
type AttemptResult = 'over' | 'unreachable'

export function createOutboxWorker(parts: OutboxWorkerParts): OutboxWorker {
  const { store, outbox, health, now, logger } = parts
  const runs = new Map<string, Promise<void>>()
  const attempts = new Map<string, AbortController>()
  /** Hops that came back while entries were still handed to them, the old way maybe. */
  const cameBack = new Set<string>()
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
        logger.error({ err: error, hop }, 'cannot work on the outbox')
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

  async function attemptRow(hop: string, row: OutboxRow, signal: AbortSignal): Promise<AttemptResult> {
    if (row.expiresAtMs <= now()) {
      await outbox.remove(row)
      return 'over'
    }
    if (!(await outbox.hasFile(row))) {
      await fail(row, 'its file was removed from .outbox~ in shared_files.path', null)
      return 'over'
    }
    let step: NextStep
    try {
      step = nextStep(row.target, parts.topology, parts.neighbours)
    } catch (error) {
      if (!(error instanceof RelayError)) throw error
      await fail(row, error.message, null)
      return 'over'
    }
    if (step.kind === 'here') {
      await parts.keepHere(row)
      return 'over'
    }
    if (step.hop.id !== hop) return 'over' // the tree has just changed: the next look sends it elsewhere
    const { hop: next, kind } = step
    const send = () => transfer(next, kind, shipmentOf(row), { nowMs: now(), takesLinks: parts.takesLinks, signal })
    return await settle(row, next.id, await parts.handedDown.during('PUT', next, row, row.hash, send))
  }

  function shipmentOf(row: OutboxRow) {
    return {
      record: row,
      bytes: row.sizeBytes === 0 ? Buffer.alloc(0) : outbox.pathOf(row.id),
      passed: [...parsePassed(row.passed), parts.selfId],
      requestId: row.requestId,
      keyHash: row.keyHash
    }
  }

  async function settle(row: OutboxRow, hop: string, result: TransferResult): Promise<AttemptResult> {
    if (result.kind === 'unreachable') {
      const waitMs = Math.max(health.failed(hop), backoffMs(row.attempts, parts.random))
      const nextAttemptAtMs = now() + waitMs
      const { reason: lastError, status } = result
      await record(row, { state: 'pending', nextAttemptAtMs, lastStatus: status ?? null, lastError })
      parts.observer.onForwarded?.(hop, 'unreachable', true)
      return 'unreachable'
    }
    health.succeeded(hop)
    if (result.kind === 'refused') await fail(row, result.message, result.status)
    else if (result.kind === 'keep-here') await parts.keepHere(row)
    else {
      await parts.removeKept(row)
      await outbox.remove(row)
    }
    parts.observer.onForwarded?.(hop, result.kind === 'refused' ? 'refused' : 'delivered', true)
    return 'over'
  }

  async function fail(row: OutboxRow, lastError: string, lastStatus: number | null): Promise<void> {
    logger.warn({ file: keyName(row), outboxId: row.id, lastStatus, lastError }, 'a shared file was refused')
    await record(row, { state: 'failed', nextAttemptAtMs: row.nextAttemptAtMs, lastStatus, lastError })
  }

  function record(row: OutboxRow, what: Pick<OutboxRow, 'state' | 'nextAttemptAtMs' | 'lastStatus' | 'lastError'>) {
    return parts.commit(() => store.record({ id: row.id, ...what }))
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
