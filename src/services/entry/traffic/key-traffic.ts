import type { SourceQueue } from '../../../network/sources/source-queue.js'
import type { ServiceRefusal } from '../service-refusal.js'
import type { ByteRate } from './byte-rate.js'
import type { ServedRequest } from './served-request.js'

/** A request among those of its key. */
export interface BoundedRequest {
  readonly source: string
  /** Ends the request, for another one. */
  end(refusal: ServiceRefusal): void
}

/** The traffic of one key. */
export interface KeyTraffic {
  readonly requests: SourceQueue<BoundedRequest>
  readonly up: ByteRate
  readonly down: ByteRate
  /** Requests under way, upgraded ones too. */
  users: number
}

/** The bounds that requests share. */
export interface TrafficBounds {
  readonly bytes: { received: number; sent: number }
  readonly noUpgrade: ServiceRefusal
  readonly noWait: ServiceRefusal
  /**
   * Lets a request of a key in. Where the key has as many as it may have, one of the source with the most makes room for
   * a source that has at least two fewer.
   * @returns why it is not let in
   */
  enter(key: string, source: string, request: BoundedRequest): KeyTraffic | ServiceRefusal
  leave(key: string, traffic: KeyTraffic): void
  /** @returns whether there is room for one more */
  enterUpgrade(): boolean
  leaveUpgrade(): void
  /** @returns whether there is room for one more */
  enterWait(): boolean
  leaveWait(): void
  /** Counts the request as over. */
  over(served: ServedRequest): void
}
