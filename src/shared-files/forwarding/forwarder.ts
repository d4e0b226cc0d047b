import { HopSlots } from '../../hops/hop-slots.js'
import type { Origin } from '../../network/caller.js'
import { HopRefusedError } from '../../values/failures/relay-error.js'
import { parsePassed } from '../../values/passed-relays.js'
import type { PutOutcome } from '../file-types.js'
import type { FileRecord, Provenance } from '../keeping/file-record.js'
import type { Placement } from '../keeping/placement.js'
import type { PlaceableFile } from '../keeping/spool-file.js'
import type { SharedFilesObserver } from '../shared-files-observer.js'
import type { HopBackoff } from './hop-backoff.js'
import { transfer } from './hop-transfer.js'
import type { LegacyLoopGuard } from './legacy-loop-guard.js'
import type { NextStep } from './next-step.js'
import type { Outbox } from './outbox.js'

/**
 * PUTs under way to one hop whose senders wait. Beyond, a slot is waited for; then the outbox keeps the file, and sends a
 * few at a time.
 */
export const MAX_PUTS_PER_HOP = 120

export interface ForwarderParts {
  readonly outbox: Outbox
  readonly placement: Pick<Placement, 'removeKept'>
  readonly backoff: HopBackoff
  readonly legacyLoopGuard: LegacyLoopGuard
  readonly takesLinks: boolean
  readonly now: () => number
  readonly observer: SharedFilesObserver
  /** The outbox may have something that can be tried now. */
  readonly wakeOutbox: () => void
}

/** Hands a file to its next hop while the sender waits; into the outbox, when that cannot be reached. */
export interface Forwarder {
  /**
   * The caller holds the lock of the file's key.
   * @param how `passed` with this relay at its end
   * @param origin who sent it: a source that has many files under way to the hop already has the outbox keep it
   * @returns `keep-here` when the hop is an existing relay that cannot take it
   * @throws {HopRefusedError} with the neighbour's 4xx; the signal's reason once it aborts
   */
  forward(
    step: Exclude<NextStep, { kind: 'here' }>,
    record: FileRecord,
    bytes: PlaceableFile,
    how: Provenance,
    origin: Pick<Origin, 'caller' | 'signal'>
  ): Promise<PutOutcome | 'keep-here'>
}

export function createForwarder(parts: ForwarderParts): Forwarder {
  const { outbox, placement, backoff, legacyLoopGuard, now, observer, wakeOutbox } = parts
  const slots = new HopSlots(MAX_PUTS_PER_HOP)

  async function putOff(record: FileRecord, bytes: PlaceableFile, how: Provenance, waitMs: number, why: string) {
    const before = parsePassed(how.passed).slice(0, -1) // whoever tries it again adds this relay
    const outcome = await outbox.add(record, bytes, { ...how, passed: before.join(',') }, now() + waitMs, why)
    if (outcome === 'superseded') return outcome
    observer.onPending?.(record.sizeBytes)
    wakeOutbox()
    return outcome
  }

  return {
    async forward({ kind, hop }, record, bytes, how, { caller, signal }) {
      if (backoff.hasJustFailed(hop.id)) {
        return putOff(record, bytes, how, backoff.waitMs(hop.id), `${hop.id} could not be reached a moment ago`)
      }
      const leave = await slots.take(hop.id, { caller, signal })
      if (leave === undefined) return putOff(record, bytes, how, 0, `many files were on their way to ${hop.id} already`)
      const shipment = {
        record,
        bytes: bytes.inMemory ?? (() => bytes.file.read()),
        passed: parsePassed(how.passed),
        requestId: how.requestId,
        keyHash: how.keyHash
      }
      const result = await legacyLoopGuard
        .during('PUT', hop, record, record.hash, () =>
          transfer(hop, kind, shipment, { nowMs: now(), takesLinks: parts.takesLinks, signal })
        )
        .finally(leave)
      if (result.kind === 'unreachable') {
        observer.onForwarded?.(hop.id, 'unreachable', false)
        return putOff(record, bytes, how, backoff.failed(hop.id), result.reason)
      }
      if (backoff.succeeded(hop.id)) wakeOutbox()
      observer.onForwarded?.(hop.id, result.kind === 'refused' ? 'refused' : 'delivered', false)
      if (result.kind === 'refused') throw new HopRefusedError(hop.id, result.status, result.message)
      if (result.kind === 'keep-here') return 'keep-here'
      await outbox.removeOlder(record)
      await placement.removeKept(record)
      return result.outcome
    }
  }
}
