import type { Neighbours } from '../../hops/hop.js'
import type { CurrentTopology } from '../../tree/topology.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { errorMessage } from '../../values/failures/system-error.js'
import type { FileKey } from '../../values/ids.js'
import type { Logger } from '../../values/logging/logger.js'
import { parsePassed } from '../../values/passed-relays.js'
import { backoffMs } from '../../values/time/backoff.js'
import { keyName } from '../keeping/file-layout.js'
import type { QueuedFile } from '../keeping/file-record.js'
import type { SharedFilesObserver } from '../shared-files-observer.js'
import { FORWARDING_BACKOFF, type HopBackoff } from './hop-backoff.js'
import { type TransferResult, transfer } from './hop-transfer.js'
import type { LegacyLoopGuard } from './legacy-loop-guard.js'
import { type NextStep, nextStep } from './next-step.js'
import type { Outbox } from './outbox.js'
import type { OutboxAttempt, OutboxRepository } from './outbox-repository.js'

export interface OutboxAttemptParts {
  readonly selfId: string
  readonly repository: OutboxRepository
  readonly outbox: Outbox
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  readonly backoff: HopBackoff
  readonly legacyLoopGuard: LegacyLoopGuard
  /** Puts an entry's file in place here, and removes the entry. The key's lock is held. */
  readonly keepHere: (entry: QueuedFile) => Promise<'done' | 'lost'>
  /** Removes an older copy that is kept here on the hop's behalf. The key's lock is held. */
  readonly removeKept: (key: FileKey) => Promise<void>
  readonly takesLinks: boolean
  readonly now: () => number
  readonly random: () => number
  readonly logger: Logger
  readonly observer: SharedFilesObserver
}

type Refusal = Extract<TransferResult, { readonly kind: 'refused' }>
type Elsewhere = Exclude<NextStep, { readonly kind: 'here' }>

/**
 * `over` when what came of the entry is recorded; `unreachable` when that is of its hop. Nothing is recorded, and the entry is claimed
 * still, when it is `moved`, to another hop in the tree, or `left` as it is.
 */
export type AttemptResult = 'over' | 'unreachable' | 'moved' | 'left'

/** Tries one entry at a time: it is handed to its hop, kept here, or given up, and the result is recorded. */
export class OutboxAttempts {
  constructor(private readonly parts: OutboxAttemptParts) {}

  /** Tries an entry, whose key is locked. */
  async attempt(hop: string, entry: QueuedFile, signal: AbortSignal): Promise<AttemptResult> {
    const { outbox, now } = this.parts
    if (entry.expiresAtMs <= now()) {
      this.#noteLoss(entry, await outbox.finish(entry))
      return 'over'
    }
    const fault = await outbox.fault(entry)
    if (fault !== undefined) {
      await this.#failDamaged(entry, fault)
      return 'over'
    }
    let step: NextStep
    try {
      step = nextStep(entry.target, this.parts.topology, this.parts.neighbours)
    } catch (error) {
      if (!(error instanceof RelayError)) throw error
      await this.#fail(entry, error.message, undefined)
      return 'over'
    }
    if (step.kind === 'here') {
      this.#noteLoss(entry, await this.parts.keepHere(entry))
      return 'over'
    }
    if (step.hop.id !== hop) return 'moved' // the tree has just changed: the next look sends it elsewhere
    return this.#recordResult(entry, step.hop.id, await this.#handOn(step, entry, signal))
  }

  /**
   * Records a failure within this relay, as far as the records can be written: or the same entry would be the one that a
   * doubtful hop is tried with, for ever, and all others would wait for it. Never rejects.
   */
  async putOff(entry: QueuedFile, error: unknown): Promise<void> {
    const { now, random } = this.parts
    const nextAttemptAtMs = now() + backoffMs(entry.attempts, FORWARDING_BACKOFF, random)
    const attempt = {
      state: 'pending',
      nextAttemptAtMs,
      lastStatus: undefined,
      lastError: errorMessage(error)
    } as const
    await this.#record(entry, attempt).catch(() => undefined) // the error that is put off for is told by the caller
  }

  #handOn({ hop, kind }: Elsewhere, entry: QueuedFile, signal: AbortSignal): Promise<TransferResult> {
    const { legacyLoopGuard, now, takesLinks } = this.parts
    return legacyLoopGuard.during('PUT', hop, entry, entry.hash, () =>
      transfer(hop, kind, this.#shipmentOf(entry), { nowMs: now(), takesLinks, signal })
    )
  }

  #shipmentOf(entry: QueuedFile) {
    const { outbox, selfId } = this.parts
    return {
      record: entry,
      bytes: entry.sizeBytes === 0 ? Buffer.alloc(0) : () => outbox.open(entry.id),
      passed: [...parsePassed(entry.passed), selfId],
      requestId: entry.requestId,
      keyHash: entry.keyHash
    }
  }

  async #recordResult(entry: QueuedFile, hop: string, result: TransferResult): Promise<AttemptResult> {
    const { outbox, backoff, keepHere, removeKept, observer, now, random } = this.parts
    if (result.kind === 'unreachable') {
      const waitMs = Math.max(backoff.failed(hop), backoffMs(entry.attempts, FORWARDING_BACKOFF, random))
      const nextAttemptAtMs = now() + waitMs
      const { reason: lastError, status } = result
      await this.#record(entry, { state: 'pending', nextAttemptAtMs, lastStatus: status, lastError })
      observer.onForwarded?.(hop, 'unreachable', true)
      return 'unreachable'
    }
    backoff.succeeded(hop)
    if (result.kind === 'refused') await this.#recordRefusal(entry, result)
    else if (result.kind === 'keep-here') this.#noteLoss(entry, await keepHere(entry))
    else {
      if (result.outcome === 'superseded') this.#noteNotKept(entry, hop)
      await removeKept(entry)
      this.#noteLoss(entry, await outbox.finish(entry))
    }
    observer.onForwarded?.(hop, result.kind === 'refused' ? 'refused' : 'delivered', true)
    return 'over'
  }

  /** Looks first whether what the hop judged, and did not take, is what was accepted here. */
  async #recordRefusal(entry: QueuedFile, { status, message }: Refusal): Promise<void> {
    const isJudged = status >= 400 && status < 500
    const change = isJudged ? await this.#changeOf(entry) : undefined
    if (change === undefined) await this.#fail(entry, message, status)
    else await this.#failDamaged(entry, change)
  }

  /** A file that cannot be read, or is gone since it was sent, is no reason to send it again. */
  async #changeOf(entry: QueuedFile): Promise<string | undefined> {
    try {
      return await this.parts.outbox.change(entry)
    } catch (err) {
      this.parts.logger.warn(
        { file: keyName(entry), outboxId: entry.id, err },
        'cannot read a refused shared file again'
      )
      return undefined
    }
  }

  /** Gives up an entry whose file is not what was accepted any more. */
  async #failDamaged(entry: QueuedFile, lastError: string): Promise<void> {
    const file = { file: keyName(entry), outboxId: entry.id, lastError }
    this.parts.logger.warn(file, 'shared file was damaged in the outbox')
    await this.#recordFailed(entry, lastError, undefined)
  }

  async #fail(entry: QueuedFile, lastError: string, lastStatus: number | undefined): Promise<void> {
    const file = { file: keyName(entry), outboxId: entry.id, lastStatus, lastError }
    this.parts.logger.warn(file, 'next relay refused a shared file')
    await this.#recordFailed(entry, lastError, lastStatus)
  }

  #recordFailed(entry: QueuedFile, lastError: string, lastStatus: number | undefined): Promise<void> {
    const { nextAttemptAtMs } = entry
    return this.#record(entry, { state: 'failed', nextAttemptAtMs, lastStatus, lastError })
  }

  /** Tells the operator: the sender was told that the file waits, and gets no other answer. */
  #noteNotKept(entry: QueuedFile, hop: string): void {
    this.parts.logger.warn(
      { file: keyName(entry), hop },
      'shared file from the outbox was not kept: a newer one is there'
    )
  }

  async #record(entry: QueuedFile, attempt: OutboxAttempt): Promise<void> {
    this.#noteLoss(entry, await this.parts.repository.recordAttempt(entry.id, attempt))
  }

  /** An entry that another process has claimed meanwhile is left to it, as it is. */
  #noteLoss({ id }: QueuedFile, outcome: 'done' | 'lost'): void {
    if (outcome === 'done') return
    this.parts.logger.warn({ outboxId: id }, 'outbox entry was taken over by another process of this relay')
  }
}
