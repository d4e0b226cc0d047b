import type { Neighbours } from '../../hops/hop.js'
import type { Commit } from '../../storage/group-commit.js'
import type { OutboxRow, OutboxStore } from '../../storage/outbox-store.js'
import type { CurrentTopology } from '../../tree/topology.js'
import { RelayError } from '../../values/failures/relay-error.js'
import type { FileKey } from '../../values/ids.js'
import type { Logger } from '../../values/logger.js'
import { parsePassed } from '../../values/passed-relays.js'
import { keyName } from '../keeping/file-layout.js'
import type { SharedFilesObserver } from '../observer.js'
import { backoffMs, type HopHealth } from './circuit-breaker.js'
import { type TransferResult, transfer } from './hop-transfer.js'
import type { HandedDown } from './legacy-loop-guard.js'
import { type NextStep, nextStep } from './next-step.js'
import type { Outbox } from './outbox.js'

export interface OutboxAttemptParts {
  readonly selfId: string
  readonly store: OutboxStore
  readonly outbox: Outbox
  readonly commit: Commit
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  readonly health: HopHealth
  readonly handedDown: HandedDown
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

/** `over` when the entry needs nothing more, for now or ever; `unreachable` when its hop does. */
export type AttemptResult = 'over' | 'unreachable'

/** One try of one entry, whose key is locked: it is handed to its hop, kept here, or given up; what came of it is recorded. */
export function createOutboxAttempt(
  parts: OutboxAttemptParts
): (hop: string, row: OutboxRow, signal: AbortSignal) => Promise<AttemptResult> {
  const { store, outbox, health, now, logger } = parts

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
      bytes: row.sizeBytes === 0 ? Buffer.alloc(0) : () => outbox.open(row.id),
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
    logger.warn({ file: keyName(row), outboxId: row.id, lastStatus, lastError }, 'next relay refused a shared file')
    await record(row, { state: 'failed', nextAttemptAtMs: row.nextAttemptAtMs, lastStatus, lastError })
  }

  function record(row: OutboxRow, what: Pick<OutboxRow, 'state' | 'nextAttemptAtMs' | 'lastStatus' | 'lastError'>) {
    return parts.commit(() => store.record({ id: row.id, ...what }))
  }

  return attemptRow
}
