/** A rate that a reload changed holds soon. */
const LONGEST_WAIT_MS = 1_000

/** Bytes that wait until the rate lets them pass. */
interface WaitingBytes {
  readonly bytes: number
  readonly run: () => void
}

/**
 * Bytes a second, over time: what has passed has to be paid for before more is let through. Nothing is held here: who
 * waits keeps the sender of further bytes back.
 */
export class ByteRate {
  #freeAtMs = 0
  readonly #waiting = new Set<WaitingBytes>()
  #timer: NodeJS.Timeout | undefined

  /** @param perSecond read anew each time; 0: no bound */
  constructor(private readonly perSecond: () => number) {}

  /** Whether nothing waits, and nothing is to be paid for. */
  get isFree(): boolean {
    return this.#waiting.size === 0 && this.#isPaid()
  }

  /** Whether there is no bound, and nothing waits. */
  get isUnbound(): boolean {
    return this.#waiting.size === 0 && this.perSecond() === 0
  }

  /** Counts bytes for which nobody waits. */
  pay(bytes: number): void {
    const perSecond = this.perSecond()
    if (perSecond > 0) this.#freeAtMs = Math.max(this.#freeAtMs, performance.now()) + (1_000 * bytes) / perSecond
  }

  /**
   * Calls `run` at once, or once all before it was paid for, in turn.
   * @returns a function that gives up waiting: the bytes are then only counted
   */
  whenFree(bytes: number, run: () => void): () => void {
    if (this.isFree) {
      this.pay(bytes)
      run()
      return () => undefined
    }
    const one: WaitingBytes = { bytes, run }
    this.#waiting.add(one)
    this.#arm()
    return () => {
      if (this.#waiting.delete(one)) this.pay(bytes)
    }
  }

  #isPaid(): boolean {
    return this.#freeAtMs <= performance.now() || this.perSecond() === 0
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#waiting.size === 0) return
    const waitMs = this.perSecond() === 0 ? 1 : Math.max(1, this.#freeAtMs - performance.now())
    this.#timer = setTimeout(() => this.#next(), Math.min(waitMs, LONGEST_WAIT_MS))
  }

  #next(): void {
    this.#timer = undefined
    for (const one of this.#waiting) {
      if (!this.#isPaid()) break
      this.#waiting.delete(one)
      this.pay(one.bytes)
      one.run()
    }
    this.#arm()
  }
}

/** The bytes of one direction of one request, which are paid for one part after another. */
export class PaidBytes {
  #unpaid = 0
  #waiting: { readonly bytes: number; readonly giveUp: () => void } | undefined

  /** @param onPaid called for each part; within `add` where nothing has to wait */
  constructor(
    private readonly rate: ByteRate,
    private readonly onPaid: (bytes: number) => void
  ) {}

  /** Whether all was paid for. */
  get isPaid(): boolean {
    return this.#unpaid === 0
  }

  add(bytes: number): void {
    if (bytes === 0) return
    if (this.#unpaid === 0 && this.rate.isUnbound) {
      this.onPaid(bytes) // so it is mostly
      return
    }
    this.#unpaid += bytes
    if (this.#waiting === undefined) this.#pay()
  }

  /** Waits no longer: what is left is counted. */
  giveUp(): void {
    const bytes = this.#waiting?.bytes ?? 0
    if (this.#unpaid === 0) return
    this.#waiting?.giveUp()
    this.#waiting = undefined
    this.rate.pay(this.#unpaid - bytes)
    this.#unpaid = 0
  }

  #pay(): void {
    const bytes = this.#unpaid
    let isPaid = false
    const giveUp = this.rate.whenFree(bytes, () => {
      isPaid = true
      this.#waiting = undefined
      this.#unpaid -= bytes
      this.onPaid(bytes)
      if (this.#unpaid > 0 && this.#waiting === undefined) this.#pay()
    })
    if (!isPaid) this.#waiting = { bytes, giveUp }
  }
}
