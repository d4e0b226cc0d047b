import { sourceOf } from '../../../network/sources/source-address.js'
import { SourceQueue } from '../../../network/sources/source-queue.js'
import type { ServiceRefusal } from '../service-refusal.js'
import { ByteRate } from './byte-rate.js'
import type { BoundedRequest, KeyTraffic, TrafficBounds } from './key-traffic.js'
import { RequestTraffic } from './request-traffic.js'
import type { CameRequest, ServedRequest } from './served-request.js'

/** Requests of one key under way. */
export const MAX_REQUESTS_OF_KEY = 1_024
/** Upgrades, such as WebSockets, of all keys together. */
export const MAX_UPGRADES = 10_000
/** Requests that wait until a link carries streams. */
export const MAX_REQUESTS_WITHOUT_WAY = 1_024

export interface ServiceTrafficOptions {
  /** Bytes a second of a key, each way; 0: no bound. */
  readonly rateOf: (key: string) => number
  /** @param given the caller's id for a request */
  readonly requestId: (given: string | undefined) => string
  /** Called when a request is over. */
  readonly onServed: (request: ServedRequest) => void
  readonly maxRequestsOfKey?: number
  readonly maxUpgrades?: number
  readonly maxWithoutWay?: number
}

/** The requests that callers of this relay have under way, their bounds, and the bytes that they move. */
export class ServiceTraffic implements TrafficBounds {
  /** Bytes of bodies, and raw ones: from callers, and to them. */
  readonly bytes = { received: 0, sent: 0 }
  readonly #keys = new Map<string, KeyTraffic>()
  readonly #maxOfKey: number
  readonly #maxUpgrades: number
  readonly #maxWithoutWay: number
  #open = 0
  #upgrades = 0
  #withoutWay = 0

  constructor(private readonly options: ServiceTrafficOptions) {
    this.#maxOfKey = options.maxRequestsOfKey ?? MAX_REQUESTS_OF_KEY
    this.#maxUpgrades = options.maxUpgrades ?? MAX_UPGRADES
    this.#maxWithoutWay = options.maxWithoutWay ?? MAX_REQUESTS_WITHOUT_WAY
  }

  /** Requests under way, upgrades too. */
  get open(): number {
    return this.#open
  }

  /** Upgrades that stand, or that a service has not answered. */
  get upgrades(): number {
    return this.#upgrades
  }

  /** Counts a request that has come, until its `over`. */
  begin(came: CameRequest): RequestTraffic {
    this.#open += 1
    const id = this.options.requestId(came.givenId)
    return new RequestTraffic(this, came, { id, source: sourceOf(came.remoteAddress) })
  }

  // For the requests.

  over(served: ServedRequest): void {
    this.#open -= 1
    this.options.onServed(served)
  }

  enter(key: string, source: string, request: BoundedRequest): KeyTraffic | ServiceRefusal {
    const traffic = this.#keys.get(key) ?? this.#newKey(key)
    if (traffic.requests.size >= this.#maxOfKey) {
      const older = traffic.requests.oldestDueTo(source)
      if (older === undefined) return this.#tooMany(key)
      traffic.requests.delete(older.source, older)
      older.end(this.#tooMany(key))
    }
    this.#keys.set(key, traffic)
    traffic.users += 1
    traffic.requests.add(source, request)
    return traffic
  }

  leave(key: string, traffic: KeyTraffic): void {
    traffic.users -= 1
    this.#forget(key, traffic)
  }

  enterUpgrade(): boolean {
    if (this.#upgrades >= this.#maxUpgrades) return false
    this.#upgrades += 1
    return true
  }

  leaveUpgrade(): void {
    this.#upgrades -= 1
  }

  get noUpgrade(): ServiceRefusal {
    return busy(503, `${this.#maxUpgrades} upgraded connections are open at this relay`)
  }

  enterWait(): boolean {
    if (this.#withoutWay >= this.#maxWithoutWay) return false
    this.#withoutWay += 1
    return true
  }

  leaveWait(): void {
    this.#withoutWay -= 1
  }

  get noWait(): ServiceRefusal {
    return busy(503, `${this.#maxWithoutWay} requests wait for the links to their services`)
  }

  #newKey(key: string): KeyTraffic {
    const rate = () => this.options.rateOf(key)
    return { requests: new SourceQueue(), up: new ByteRate(rate), down: new ByteRate(rate), users: 0 }
  }

  /** Forgets a key that nobody uses, once its bytes were paid for. */
  #forget(key: string, traffic: KeyTraffic): void {
    if (traffic.users > 0) return
    if (!traffic.up.isFree || !traffic.down.isFree) {
      setTimeout(() => this.#forget(key, traffic), FORGET_AFTER_MS).unref()
    } else if (this.#keys.get(key) === traffic) this.#keys.delete(key)
  }

  #tooMany(key: string): ServiceRefusal {
    return busy(429, `${this.#maxOfKey} requests of the service ${key} are under way`)
  }
}

const FORGET_AFTER_MS = 5_000

function busy(status: number, what: string): ServiceRefusal {
  return { status, message: `${what}: ask again later`, fields: ['Retry-After', '1'] }
}
