import { jittered } from '../../values/time/backoff.js'

/** The longest wait after a file could not be received or shared. */
const RETRY_MS = 30_000

/** A file that is being written changes many times: it is looked at once it has been left alone for so long. */
const QUIET_MS = 500
/** The longest wait for that: a file that never stops changing is looked at all the same. */
const LONGEST_SETTLE_MS = 5_000

interface Running {
  readonly timer: NodeJS.Timeout
  /** The time of the first change, or of the failure, by `performance.now`. */
  readonly begunAtMs: number
}

/**
 * The waits of the work on files. Each has one timer, however often it is begun: what happens again and again must not
 * add up. No timer keeps the process alive.
 */
export class FileTimers {
  readonly #running = new Map<string, Running>()

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Acts again and again. Each wait is shortened at random by up to half, so that 10,000 agents do not ask at once. */
  every(name: string, ms: number, action: () => void): void {
    this.#begin(`every ${name}`, jittered(ms), this.now(), () => {
      this.every(name, ms, action)
      action()
    })
  }

  /** Acts once `entry`, which has failed, is to be tried again: shortened at random as {@link every} is. */
  retry(entry: string, action: () => void): void {
    this.#begin(retryOf(entry), jittered(RETRY_MS), this.now(), action)
  }

  /** Ends the wait of {@link retry}; harmless when there is none. */
  endRetry(entry: string): void {
    this.#end(retryOf(entry))
  }

  /** Acts once for changes of `entry` that come in quick succession. Each of them calls this. */
  settle(entry: string, action: () => void): void {
    const name = `change of ${entry}`
    const nowMs = this.now()
    const firstAtMs = this.#running.get(name)?.begunAtMs ?? nowMs
    this.#begin(name, settleMs(firstAtMs, nowMs), firstAtMs, action)
  }

  endAll(): void {
    for (const name of this.#running.keys()) this.#end(name)
  }

  #begin(name: string, ms: number, begunAtMs: number, action: () => void): void {
    this.#end(name)
    const timer = setTimeout(() => {
      this.#running.delete(name)
      action()
    }, ms)
    timer.unref()
    this.#running.set(name, { timer, begunAtMs })
  }

  #end(name: string): void {
    clearTimeout(this.#running.get(name)?.timer)
    this.#running.delete(name)
  }
}

function retryOf(entry: string): string {
  return `retry of ${entry}`
}

/** The wait after a change, in ms, when the first one of its series came at `firstAtMs`. */
function settleMs(firstAtMs: number, nowMs: number): number {
  return Math.max(0, Math.min(QUIET_MS, firstAtMs + LONGEST_SETTLE_MS - nowMs))
}
