import type { Neighbours } from '../../hops/hop.js'
import type { Database } from '../../storage/database.js'
import { groupCommitOf } from '../../storage/group-commit.js'
import { createOutboxStore, type OutboxRow, type OutboxStore } from '../../storage/outbox-store.js'
import type { CurrentTopology } from '../../tree/topology.js'
import type { Logger } from '../../values/logger.js'
import type { Keeping } from '../keeping/keeping.js'
import { IncomingFile } from '../keeping/spool-file.js'
import type { SharedFilesObserver } from '../observer.js'
import { createHopHealth, type HopHealth } from './circuit-breaker.js'
import { createForwarder, type Forwarder } from './forwarder.js'
import { createHandedDown, type HandedDown } from './legacy-loop-guard.js'
import { relaysOnTheWay } from './on-behalf.js'
import { createOutbox, type Outbox } from './outbox.js'
import { createOutboxWorker, type OutboxWorker } from './outbox-worker.js'

export interface ForwardingOptions {
  readonly selfId: string
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  readonly db: Database
  readonly logger: Logger
  /** Whether relays below may hold links to this one. */
  readonly takesLinks: boolean
  /** Ms of a clock that only goes forward. */
  readonly monotonicNow: () => number
  /** From 0 up to 1, for jitter. */
  readonly random: () => number
  readonly observer: SharedFilesObserver
}

/** What hands files on, and keeps them until they can be. */
export interface Forwarding {
  readonly outboxStore: OutboxStore
  readonly outbox: Outbox
  readonly health: HopHealth
  readonly handedDown: HandedDown
  readonly worker: OutboxWorker
  readonly forwarder: Forwarder
}

/** Puts the parts of this room together. */
export function createForwarding(keeping: Keeping, options: ForwardingOptions): Forwarding {
  const { topology, db, monotonicNow, random } = options
  const { layout, folders, syncFolder, lock, quota, placement, nextSpoolName, now } = keeping
  const commit = groupCommitOf(db)
  const outboxStore = createOutboxStore(db)
  const outbox = createOutbox({ layout, folders, store: outboxStore, commit, syncFolder, lock, quota, now })
  const health = createHopHealth(monotonicNow, random)
  const handedDown = createHandedDown()

  /** Gives an entry's file a name in `.incoming~` as well, so that a crash finds it in one place or the other. */
  async function keepHere(row: OutboxRow): Promise<void> {
    const file = new IncomingFile(layout, folders, nextSpoolName(), true)
    try {
      await folders.enter(layout.outbox, at => file.linkTo(`${at}/${row.id}`))
      const via = relaysOnTheWay(row.target, topology())
      const outcome = await placement.place({ ...row, via }, { file, inMemory: undefined }, { insteadOf: row.id })
      if (outcome === 'stored') await outbox.removeFile(row)
      else await outbox.remove(row)
    } finally {
      await file.discard()
    }
  }

  const shared = { ...options, outbox, health, handedDown, now }
  const { removeKept } = placement
  const worker = createOutboxWorker({ ...shared, store: outboxStore, commit, lock, keepHere, removeKept })
  const forwarder = createForwarder({ ...shared, placement, wakeOutbox: worker.pump })
  return { outboxStore, outbox, health, handedDown, worker, forwarder }
}
