import type { Neighbours } from '../../hops/hop.js'
import type { CurrentTopology } from '../../tree/topology.js'
import type { FileKey } from '../../values/ids.js'
import type { Logger } from '../../values/logging/logger.js'
import { keyName } from '../keeping/file-layout.js'
import type { QueuedFile } from '../keeping/file-record.js'
import type { Keeping } from '../keeping/keeping.js'
import { SpoolFile } from '../keeping/spool-file.js'
import type { SharedFilesObserver } from '../shared-files-observer.js'
import { createForwarder, type Forwarder } from './forwarder.js'
import { createHopBackoff, type HopBackoff } from './hop-backoff.js'
import { createLegacyLoopGuard, type LegacyLoopGuard } from './legacy-loop-guard.js'
import { relaysOnTheWay } from './on-behalf.js'
import { Outbox } from './outbox.js'
import type { OutboxRepository } from './outbox-repository.js'
import { OutboxWorker } from './outbox-worker.js'

export interface ForwardingOptions {
  readonly selfId: string
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  readonly repository: OutboxRepository
  readonly logger: Logger
  /** Whether relays below may hold links to this one. */
  readonly takesLinks: boolean
  /** Ms of a clock that only goes forward. */
  readonly monotonicNow: () => number
  /** From 0 up to 1, for jitter. */
  readonly random: () => number
  readonly observer: SharedFilesObserver
}

/** Passes files on, and keeps them until they can be passed on. */
export interface Forwarding {
  readonly outboxRepository: OutboxRepository
  readonly outbox: Outbox
  readonly backoff: HopBackoff
  readonly legacyLoopGuard: LegacyLoopGuard
  readonly worker: OutboxWorker
  readonly forwarder: Forwarder
}

/** Puts the parts of this room together. */
export function createForwarding(keeping: Keeping, options: ForwardingOptions): Forwarding {
  const { topology, repository, monotonicNow, random } = options
  const { layout, folders, syncFolder, lock, quota, placement, nextSpoolName, now } = keeping
  const outbox = new Outbox({ layout, folders, repository, syncFolder, lock, quota, now })
  const backoff = createHopBackoff(monotonicNow, random)
  const legacyLoopGuard = createLegacyLoopGuard()

  /** Gives an entry's file a name in `.incoming~` as well, so that a crash finds it in one place or the other. */
  async function keepHere(entry: QueuedFile): Promise<'done' | 'lost'> {
    const file = new SpoolFile(layout, folders, nextSpoolName(), true)
    try {
      await folders.enter(layout.outbox, at => file.linkTo(`${at}/${entry.id}`))
      const via = relaysOnTheWay(entry.target, topology())
      const waiting = { insteadOf: entry, isClaimed: true }
      const place = () => placement.place({ ...entry, via }, { file, inMemory: undefined }, waiting)
      const outcome = await outbox.withdrawing(entry.id, place, result => result === 'stored')
      if (outcome === 'superseded') {
        options.logger.warn({ file: keyName(entry) }, 'shared file from the outbox was not kept: a newer one is there')
        return await outbox.finish(entry)
      }
      if (outcome === 'lost') return outcome
      await outbox.removeFile(entry)
      return 'done'
    } finally {
      await file.discard()
    }
  }

  const shared = { ...options, outbox, backoff, legacyLoopGuard, now }
  const removeKept = (key: FileKey) => placement.removeKept(key)
  const worker = new OutboxWorker({ ...shared, lock, keepHere, removeKept })
  const forwarder = createForwarder({ ...shared, placement, wakeOutbox: () => worker.pump() })
  return { outboxRepository: repository, outbox, backoff, legacyLoopGuard, worker, forwarder }
}
