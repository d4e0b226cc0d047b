import { dirname } from 'node:path'
import type { Config } from '../config/config.js'
import { createAcceptanceStore } from '../storage/acceptance-store.js'
import type { Database } from '../storage/database.js'
import { groupCommitOf } from '../storage/group-commit.js'
import { createOutboxStore, type OutboxRow } from '../storage/outbox-store.js'
import { createSharedFileStore } from '../storage/shared-file-store.js'
import type { Neighbours } from '../tree/hop.js'
import type { CurrentTopology } from '../tree/topology.js'
import type { FileKey } from '../values/ids.js'
import type { Logger } from '../values/logger.js'
import { RelayError } from '../values/relay-error.js'
import { AcceptanceClock } from './acceptance-clock.js'
import { PACE_LIMITS, type PaceLimits } from './body-reader.js'
import { createFileLayout } from './file-layout.js'
import { createFolderSync } from './folder-sync.js'
import { createForwarder } from './forwarder.js'
import { createGet } from './get.js'
import { createHandedDown } from './handed-down.js'
import { createHead } from './head.js'
import { createHeadCache } from './head-cache.js'
import { createHopHealth } from './hop-health.js'
import { createSpoolNames, IncomingFile } from './incoming-file.js'
import { createKeyLock } from './key-lock.js'
import { createList } from './list.js'
import { createLostCounter } from './lost-files.js'
import type { SharedFilesObserver } from './observer.js'
import { relaysOnTheWay } from './on-behalf.js'
import { createOutbox } from './outbox.js'
import { createOutboxWorker } from './outbox-worker.js'
import { createOwnFolders } from './own-folders.js'
import { createPlacement } from './placement.js'
import { createPut } from './put.js'
import { createQuota } from './quota.js'
import { lookAgain } from './reconciliation.js'
import { recoverSharedFiles } from './recovery.js'
import { createRelocation } from './relocation.js'
import { createSettler } from './settler.js'
import type { SharedFiles } from './types.js'
import { createUpkeep } from './upkeep.js'

export interface SharedFilesOptions {
  readonly config: Config['sharedFiles']
  readonly selfId: string
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  /** The `state` database. This process alone writes its rows of shared files. */
  readonly db: Database
  readonly logger: Logger
  /** Whether relays below may hold links to this one. @default true */
  readonly takesLinks?: boolean
  /** Ms since 1970. */
  readonly now?: () => number
  /** Ms of a clock that only goes forward. @default performance.now */
  readonly monotonicNow?: () => number
  /** From 0 up to 1, for jitter. */
  readonly random?: () => number
  readonly observer?: SharedFilesObserver
  /** @default PACE_LIMITS */
  readonly pace?: PaceLimits
  /** Files being received at once. @default 512 */
  readonly maxUploads?: number
}

/** Puts the parts of this folder together. `recover` comes before the first request, `start` after it may have come. */
export function createSharedFiles(options: SharedFilesOptions): SharedFiles {
  const { config, selfId, topology, neighbours, db, logger } = options
  const { now = Date.now, random = Math.random, observer = {} } = options
  const { pace = PACE_LIMITS, maxUploads = 512, takesLinks = true } = options
  const layout = createFileLayout(config.path)
  const store = createSharedFileStore(db)
  const outboxStore = createOutboxStore(db)
  const commit = groupCommitOf(db)
  const syncFolder = createFolderSync()
  const ownFolders = createOwnFolders(config.path, syncFolder)
  const lock = createKeyLock()
  const cache = createHeadCache()
  const quota = createQuota(config)
  const lost = createLostCounter(layout, quota, logger)
  const health = createHopHealth(options.monotonicNow ?? (() => performance.now()), random)
  const acceptances = createAcceptanceStore(db)
  const acceptance = new AcceptanceClock({
    now,
    markMs: acceptances.before(),
    writeMark: ms => commit(() => acceptances.setBefore(ms))
  })
  const nextSpoolName = createSpoolNames()
  const handedDown = createHandedDown()
  const settler = createSettler({ layout, store, commit, syncFolder, logger })
  const onStored = (sizeBytes: number, key: FileKey) => observer.onStored?.(sizeBytes, key)
  const placement = createPlacement({
    layout,
    folders: ownFolders,
    store,
    commit,
    syncFolder,
    settler,
    cache,
    quota,
    now,
    onStored
  })
  const outbox = createOutbox({ layout, folders: ownFolders, store: outboxStore, commit, syncFolder, lock, quota, now })
  const stopping = new AbortController()
  const underWay = new Set<Promise<unknown>>()
  let purging: Promise<number> | undefined

  /** Gives an entry's file a name in `.incoming~` as well, so that a crash finds it in one place or the other. */
  async function keepHere(row: OutboxRow): Promise<void> {
    const file = new IncomingFile(layout, ownFolders, nextSpoolName(), true)
    try {
      await file.linkTo(outbox.pathOf(row.id))
      const via = relaysOnTheWay(row.target, topology())
      const outcome = await placement.place({ ...row, via }, { file, inMemory: undefined }, () =>
        outbox.removeRow(row.id)
      )
      if (outcome === 'stored') await outbox.removeFile(row)
      else await outbox.remove(row)
    } finally {
      await file.discard()
    }
  }

  const worker = createOutboxWorker({
    selfId,
    store: outboxStore,
    outbox,
    commit,
    topology,
    neighbours,
    health,
    handedDown,
    lock,
    keepHere,
    removeKept: placement.removeKept,
    takesLinks,
    now,
    random,
    logger,
    observer
  })
  const forwarder = createForwarder({
    outbox,
    placement,
    health,
    handedDown,
    takesLinks,
    now,
    observer,
    wakeOutbox: worker.pump
  })
  const rules = config
  const folders = [
    { setting: 'storage.path', path: dirname(db.name) },
    { setting: 'shared_files.path', path: config.path }
  ]
  const put = createPut({
    selfId,
    folders,
    rules,
    pace,
    maxUploads,
    layout,
    ownFolders,
    topology,
    neighbours,
    files: store,
    outboxStore,
    outbox,
    placement,
    forwarder,
    handedDown,
    lock,
    quota,
    nextSpoolName,
    acceptance,
    now
  })
  const head = createHead({
    selfId,
    topology,
    neighbours,
    store,
    cache,
    outbox,
    health,
    handedDown,
    wakeOutbox: worker.pump,
    now
  })
  const relocation = createRelocation({
    layout,
    folders: ownFolders,
    store,
    topology,
    neighbours,
    placement,
    outbox,
    lock,
    nextSpoolName,
    wakeOutbox: worker.pump,
    now,
    logger
  })
  const purgeParts = {
    layout,
    folders: ownFolders,
    store,
    outboxStore,
    outbox,
    commit,
    lock,
    cache,
    quota,
    now,
    logger
  }
  const lookAtFile = (key: FileKey) => lookAgain(purgeParts, key)
  const get = createGet({ selfId, layout, lookAgain: lookAtFile, topology, neighbours, store, lock, now })

  /** Remembers what has to end before the relay may stop. */
  function track<T>(work: Promise<T>): Promise<T> {
    underWay.add(work)
    const forget = () => void underWay.delete(work)
    work.then(forget, forget)
    return work
  }

  async function handOver(hop: string): Promise<void> {
    try {
      await relocation.handOver(hop, stopping.signal)
    } catch (error) {
      logger.error({ err: error, hop }, 'cannot hand over what is kept on behalf of a relay')
    }
  }

  const upkeep = createUpkeep({ ...purgeParts, relocation, lost, stopping: stopping.signal, observer })

  return {
    async put(request) {
      if (stopping.signal.aborted) throw new RelayError('STOPPING', 'the relay is stopping; try again in a moment')
      return track(put(request))
    },
    head,
    get,
    list: createList({ layout, topology, store, now }),
    hopIsBack(hop) {
      worker.hopIsBack(hop)
      if (!stopping.signal.aborted) void track(handOver(hop))
    },
    outbox: {
      list: outbox.list,
      of: outbox.of,
      counts: () => ({ pending: outboxStore.countOfState('pending'), failed: outboxStore.countOfState('failed') }),
      countByTarget: outboxStore.countByTarget,
      retry(id) {
        const count = id === undefined ? outboxStore.releaseAll(now()) : outboxStore.release(id, now())
        health.reset()
        worker.pump()
        return count
      },
      async drop(id) {
        worker.interrupt(id)
        return track(outbox.drop(id))
      }
    },
    status() {
      const kept = store.totals()
      return {
        files: kept.count,
        bytes: kept.bytes,
        outboxPending: outboxStore.countOfState('pending'),
        outboxFailed: outboxStore.countOfState('failed'),
        outboxBytes: outboxStore.totals().bytes
      }
    },
    lost: () => lost.found,
    purgeExpired(signal) {
      purging ??= track(upkeep.purge(signal)).finally(() => {
        purging = undefined
      })
      return purging
    },
    async recover() {
      await recoverSharedFiles({ layout, files: store, outbox: outboxStore, placement, quota, lost, logger })
      await upkeep.lookAtFirst()
    },
    start() {
      worker.start()
      void track(upkeep.compare()) // never rejects
    },
    async stop() {
      stopping.abort(new RelayError('STOPPING', 'the relay is stopping; try again in a moment'))
      await worker.stop()
      await Promise.allSettled(underWay)
      await settler.idle()
    }
  }
}
