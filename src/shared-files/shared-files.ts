import type { Config } from '../config/config.js'
import type { Neighbours } from '../hops/hop.js'
import type { CurrentTopology } from '../tree/topology.js'
import { RelayError } from '../values/failures/relay-error.js'
import type { FileKey } from '../values/ids.js'
import type { Logger } from '../values/logger.js'
import { createForwarding } from './forwarding/forwarding.js'
import type { OutboxRepository } from './forwarding/outbox-repository.js'
import { createGet } from './get.js'
import { createHead } from './head.js'
import type { FileRepository } from './keeping/file-repository.js'
import { createKeeping } from './keeping/keeping.js'
import { createList } from './list.js'
import type { SharedFilesObserver } from './observer.js'
import { AcceptanceClock } from './receiving/acceptance-clock.js'
import { PACE_LIMITS, type PaceLimits } from './receiving/body-reader.js'
import { createPut } from './receiving/put.js'
import type { SharedFiles } from './types.js'
import { createLostCounter } from './upkeep/lost-files.js'
import { recheckFile } from './upkeep/reconciliation.js'
import { recoverSharedFiles } from './upkeep/recovery.js'
import { createRelocation } from './upkeep/relocation.js'
import { createUpkeep } from './upkeep/upkeep.js'

export interface SharedFilesOptions {
  readonly config: Config['sharedFiles']
  readonly selfId: string
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  readonly fileRepository: FileRepository
  readonly outboxRepository: OutboxRepository
  /** The folder of the setting `storage.path`, to be named where its disk is full or broken. */
  readonly storagePath: string
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
  const { config, selfId, topology, neighbours, fileRepository: files, outboxRepository, logger } = options
  const { now = Date.now, random = Math.random, observer = {} } = options
  const { pace = PACE_LIMITS, maxUploads = 512, takesLinks = true } = options
  const onStored = (sizeBytes: number, key: FileKey) => observer.onStored?.(sizeBytes, key)
  const keeping = createKeeping({ config, files, logger, now, onStored })
  const { layout, folders, lock, cache, quota, placement, deferredFsync, nextSpoolName } = keeping
  const lost = createLostCounter(layout, quota, logger)
  const monotonicNow = options.monotonicNow ?? (() => performance.now())
  const way = { selfId, topology, neighbours, now, logger, observer }
  const forwarding = createForwarding(keeping, {
    ...way,
    repository: outboxRepository,
    takesLinks,
    monotonicNow,
    random
  })
  const { outbox, backoff, legacyLoopGuard, worker, forwarder } = forwarding
  const acceptance = new AcceptanceClock({
    now,
    readMark: () => files.acceptanceMark(),
    writeMark: ms => files.raiseAcceptanceMark(ms)
  })
  const stopping = new AbortController()
  const underWay = new Set<Promise<unknown>>()
  let purging: Promise<number> | undefined

  const put = createPut({
    ...way,
    folders: [
      { setting: 'storage.path', path: options.storagePath },
      { setting: 'shared_files.path', path: config.path }
    ],
    rules: config,
    pace,
    maxUploads,
    layout,
    ownFolders: folders,
    files,
    outboxRepository,
    outbox,
    placement,
    forwarder,
    legacyLoopGuard,
    lock,
    quota,
    nextSpoolName,
    acceptance
  })
  const head = createHead({ ...way, files, cache, outbox, backoff, legacyLoopGuard, wakeOutbox: () => worker.pump() })
  const purgeParts = { layout, folders, files, outboxRepository, outbox, lock, cache, quota, now, logger }
  const get = createGet({ ...way, layout, folders, recheckFile: key => recheckFile(purgeParts, key), files, lock })
  const relocation = createRelocation({ ...way, ...keeping, outbox, wakeOutbox: () => worker.pump() })

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
      logger.error({ err: error, hop }, 'cannot hand over files kept for a relay')
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
    list: createList({ layout, topology, files, now }),
    hopIsBack(hop) {
      worker.hopIsBack(hop)
      if (!stopping.signal.aborted) void track(handOver(hop))
    },
    outbox: {
      list: outbox.list,
      of: outbox.of,
      counts: () => outboxRepository.counts(),
      countByTarget: () => outboxRepository.countByTarget(),
      async retry(id) {
        const count = await outboxRepository.makeDue(now(), id)
        backoff.reset()
        worker.pump()
        return count
      },
      async drop(id) {
        worker.interrupt(id)
        return track(outbox.drop(id))
      }
    },
    async status() {
      const kept = await files.totals()
      const { pending, failed } = await outboxRepository.counts()
      const { bytes: outboxBytes } = await outboxRepository.totals()
      return { files: kept.count, bytes: kept.bytes, outboxPending: pending, outboxFailed: failed, outboxBytes }
    },
    lost: () => lost.found,
    purgeExpired(signal) {
      purging ??= track(upkeep.purge(signal)).finally(() => {
        purging = undefined
      })
      return purging
    },
    async recover() {
      await recoverSharedFiles({ layout, folders, files, outbox: outboxRepository, placement, quota, lost, logger })
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
      await deferredFsync.idle()
    }
  }
}
