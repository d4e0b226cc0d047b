import type { ServiceRefusal } from '../service-refusal.js'
import { PaidBytes } from './byte-rate.js'
import type { BoundedRequest, KeyTraffic, TrafficBounds } from './key-traffic.js'
import type { CameRequest, ServedRequest } from './served-request.js'

/** The exchange of a request, as its traffic uses it. */
export interface TrafficUser {
  /** Ends the request, for another one. */
  end(refusal: ServiceRefusal): void
  /** Lets the side below send so many more bytes. */
  allow(bytes: number): void
  /** More may come from the caller, or no more. */
  flowChanged(): void
}

/** One request of a caller, as it is counted and bounded. */
export class RequestTraffic implements BoundedRequest {
  readonly source: string
  readonly #id: string
  readonly #beganMs = performance.now()
  #key: string | undefined
  #ofKey: KeyTraffic | undefined
  #hop: string | undefined
  #status: number | undefined
  #firstByteMs: number | undefined
  #received = 0
  #sent = 0
  #isUpgrade = false
  #isWaiting = false
  #isOver = false
  #up: PaidBytes | undefined
  #down: PaidBytes | undefined
  #user: TrafficUser | undefined
  #giveUpDue: (() => void) | undefined

  constructor(
    private readonly all: TrafficBounds,
    private readonly came: CameRequest,
    { id, source }: { readonly id: string; readonly source: string }
  ) {
    this.#id = id
    this.source = source
  }

  /**
   * Lets the request in among those of its key.
   * @returns why it is not let in
   */
  enter(key: string, isUpgrade: boolean, user: TrafficUser): ServiceRefusal | undefined {
    this.#key = key
    if (isUpgrade && !this.all.enterUpgrade()) return this.all.noUpgrade
    this.#isUpgrade = isUpgrade
    const traffic = this.all.enter(key, this.source, this)
    if ('status' in traffic) return traffic
    this.#ofKey = traffic
    this.#user = user
    this.#up = new PaidBytes(traffic.up, () => user.flowChanged())
    this.#down = new PaidBytes(traffic.down, bytes => user.allow(bytes))
    return undefined
  }

  end(refusal: ServiceRefusal): void {
    this.#user?.end(refusal)
  }

  /** Calls `open` once the bytes of the key that passed before were paid for. */
  whenDue(open: () => void): void {
    const traffic = this.#ofKey
    if (traffic === undefined) return
    const { up, down } = traffic
    if (up.isUnbound && down.isUnbound) return void open()
    let isFree = false
    const giveUp = up.whenFree(0, () => {
      isFree = true
      this.#giveUpDue = down.whenFree(0, open)
    })
    if (!isFree) this.#giveUpDue = giveUp
  }

  /** Counts the wait for a way, until `wentOver` or the end. @returns why it may not wait */
  awaitWay(): ServiceRefusal | undefined {
    if (this.#isWaiting || this.all.enterWait()) {
      this.#isWaiting = true
      return undefined
    }
    return this.all.noWait
  }

  /** @param way the name of the way that it takes */
  wentOver(way: string | undefined): void {
    this.#stopWaiting()
    this.#hop = way?.split(' ', 1)[0] // `client git/one`, or the id of a relay
  }

  /** Counts the head of the answer. */
  answered(status: number): void {
    this.#firstByteMs ??= performance.now() - this.#beganMs
    this.#status = status
    if (status === 101) this.#leaveRequests()
    else this.#leaveUpgrades()
  }

  /** Counts bytes from the caller. */
  moveUp(bytes: number): void {
    this.#received += bytes
    this.all.bytes.received += bytes
    this.#up?.add(bytes)
  }

  /** Whether no more should come from the caller now. */
  get isSlowed(): boolean {
    return this.#up?.isPaid === false
  }

  /** Counts bytes to the caller. */
  moveDown(bytes: number): void {
    this.#sent += bytes
    this.all.bytes.sent += bytes
  }

  /** Has `allow` called with bytes that the caller has taken, once they are paid for. */
  payDown(bytes: number): void {
    this.#down?.add(bytes)
  }

  /** @param isWhole whether the answer came whole @param status of an answer in place of the service's */
  over(isWhole: boolean, status?: number): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#status ??= status
    this.#stopWaiting()
    this.#giveUpDue?.()
    this.#up?.giveUp()
    this.#down?.giveUp()
    this.#leaveUpgrades()
    this.#leaveRequests()
    if (this.#ofKey !== undefined && this.#key !== undefined) this.all.leave(this.#key, this.#ofKey)
    this.all.over(this.#served(isWhole))
  }

  #served(isWhole: boolean): ServedRequest {
    const { method, target, remoteAddress } = this.came
    return {
      id: this.#id,
      method,
      path: target.split('?', 1)[0] ?? '',
      address: remoteAddress,
      key: this.#key,
      hop: this.#hop,
      status: this.#status,
      isWhole,
      received: this.#received,
      sent: this.#sent,
      firstByteMs: this.#firstByteMs,
      durationMs: performance.now() - this.#beganMs
    }
  }

  #stopWaiting(): void {
    if (this.#isWaiting) this.all.leaveWait()
    this.#isWaiting = false
  }

  #leaveUpgrades(): void {
    if (this.#isUpgrade) this.all.leaveUpgrade()
    this.#isUpgrade = false
  }

  #leaveRequests(): void {
    this.#ofKey?.requests.delete(this.source, this)
  }
}
