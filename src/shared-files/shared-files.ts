import type { Config } from '../config/config.js'
import type { Neighbours } from '../hops/hop.js'
import type { CurrentTopology } from '../tree/topology.js'
import { RelayError } from '../values/failures/relay-error.js'
import type { FileKey } from '../values/ids.js'
import type { Logger } from '../values/logging/logger.js'
import type { PutOutcome, PutRequest, SharedFiles, SharedFilesStatus } from './file-types.js'
import { createForwarding, type Forwarding } from './forwarding/forwarding.js'
import { createOutboxControl } from './forwarding/outbox-control.js'
import type { OutboxRepository } from './forwarding/outbox-repository.js'
import type { FileRepository } from './keeping/file-repository.js'
import { createKeeping, type Keeping } from './keeping/keeping.js'
import { createGet } from './reading/get-file.js'
import { createHead } from './reading/head-file.js'
import { createList } from './reading/list-files.js'
import { PACE_LIMITS, type PaceLimits } from './receiving/body-reader.js'
import type { Put } from './receiving/put.js'
import { createReceiving } from './receiving/receiving.js'
import type { SharedFilesObserver } from './shared-files-observer.js'
import type { LostFiles } from './upkeep/lost-files.js'
import { Upkeep } from './upkeep/upkeep.js'

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
  /** Tells the time that has come for certain, in ms since 1970, wherever the clock is set. @default it is not known */
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

interface Rooms extends Pick<SharedFiles, 'head' | 'get' | 'list'> {
  readonly keeping: Keeping
  readonly forwarding: Forwarding
  readonly upkeep: Upkeep
  readonly put: Put
  /** Ends what is under way. */
  readonly stopping: AbortController
}

/** Puts the rooms of this folder together. `recover` comes before the first request, `start` after it may have come. */
export function createSharedFiles(options: SharedFilesOptions): SharedFiles {
  const { config, selfId, topology, neighbours, fileRepository: files, outboxRepository, storagePath, logger } = options
  const { now = Date.now, monotonicNow = () => performance.now(), random = Math.random, observer = {} } = options
  const { pace = PACE_LIMITS, maxUploads = 512, takesLinks = true } = options
  const way = { selfId, topology, neighbours }
  const stopping = new AbortController()
  const onStored = (sizeBytes: number, key: FileKey) => observer.onStored?.(sizeBytes, key)
  const keeping = createKeeping({ config, files, logger, now, onStored })
  const handingOn = { takesLinks, monotonicNow, random }
  const forwarding = createForwarding(keeping, { ...way, ...handingOn, repository: outboxRepository, logger, observer })
  const upkeep = new Upkeep(keeping, forwarding, { ...way, logger, observer, stopping: stopping.signal })
  return new ConnectedRooms({
    keeping,
    forwarding,
    upkeep,
    put: createReceiving(keeping, forwarding, { ...way, config, storagePath, pace, maxUploads }),
    head: createHead({ ...way, ...keeping, ...forwarding, wakeOutbox: () => forwarding.worker.pump() }),
    get: createGet({ ...way, ...keeping, recheckFile: key => upkeep.recheckFile(key) }),
    list: createList({ ...keeping, topology }),
    stopping
  })
}

class ConnectedRooms implements SharedFiles {
  readonly head: SharedFiles['head']
  readonly get: SharedFiles['get']
  readonly list: SharedFiles['list']
  readonly outbox: SharedFiles['outbox']
  readonly #underWay = new Set<Promise<unknown>>()
  #purging: Promise<number> | undefined

  constructor(private readonly rooms: Rooms) {
    this.head = rooms.head
    this.get = rooms.get
    this.list = rooms.list
    const outbox = createOutboxControl(rooms.forwarding, rooms.keeping.now)
    this.outbox = { ...outbox, drop: id => this.#track(outbox.drop(id)) }
  }

  async put(request: PutRequest): Promise<PutOutcome> {
    if (this.#isStopping) throw stopped()
    return this.#track(this.rooms.put.accept(request))
  }

  hopIsBack(hop: string): void {
    this.rooms.forwarding.worker.hopIsBack(hop)
    if (!this.#isStopping) void this.#track(this.rooms.upkeep.handOver(hop)) // never rejects
  }

  async status(): Promise<SharedFilesStatus> {
    const { keeping, forwarding } = this.rooms
    const kept = await keeping.files.totals()
    const { pending, failed } = await forwarding.outboxRepository.counts()
    const { bytes: outboxBytes } = await forwarding.outboxRepository.totals()
    return { files: kept.count, bytes: kept.bytes, outboxPending: pending, outboxFailed: failed, outboxBytes }
  }

  lost(): LostFiles {
    return this.rooms.upkeep.lost
  }

  purgeExpired(signal: AbortSignal): Promise<number> {
    this.#purging ??= this.#track(this.rooms.upkeep.purge(signal)).finally(() => {
      this.#purging = undefined
    })
    return this.#purging
  }

  recover(): Promise<void> {
    return this.rooms.upkeep.recover()
  }

  start(): void {
    this.rooms.forwarding.worker.start()
    void this.#track(this.rooms.upkeep.compare()) // never rejects
  }

  async stop(): Promise<void> {
    this.rooms.stopping.abort(stopped())
    await this.rooms.forwarding.worker.stop()
    await Promise.allSettled(this.#underWay)
    await this.rooms.keeping.deferredFsync.idle()
  }

  get #isStopping(): boolean {
    return this.rooms.stopping.signal.aborted
  }

  /** Remembers what has to end before the relay may stop. */
  #track<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work)
    const forget = () => void this.#underWay.delete(work)
    work.then(forget, forget)
    return work
  }
}

function stopped(): RelayError {
  return new RelayError('STOPPING', 'the relay is stopping; try again in a moment')
}
