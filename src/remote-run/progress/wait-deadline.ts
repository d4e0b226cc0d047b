import { waitLeftMs } from '../../values/runs/run-wait-limit.js'
import type { BrokenHop } from '../run-types.js'
import type { RunProgress } from './run-progress.js'

/** How long a run waits for nodes that are not connected, and what becomes of those that do not come. */
export class WaitDeadline {
  /** Aborts when the time is over, or when the run is cancelled or left to the next process. */
  readonly signal: AbortSignal
  readonly #timer: NodeJS.Timeout
  /**
   * The end of the wait by a clock that only goes forward, as the timer's does: a clock that is set makes nobody wait
   * longer, or give up.
   */
  readonly endsAtMs: number

  constructor(
    private readonly untilMs: number,
    nowMs: number,
    startedAtMs: number,
    private readonly progress: RunProgress,
    private readonly ended: AbortSignal
  ) {
    const over = new AbortController()
    const leftMs = waitLeftMs(untilMs, nowMs, startedAtMs)
    this.endsAtMs = performance.now() + leftMs
    this.#timer = setTimeout(() => over.abort('expired'), leftMs)
    this.signal = AbortSignal.any([ended, over.signal])
    this.signal.addEventListener('abort', () => this.stop(), { once: true })
  }

  /** Ends the wait for all nodes. */
  stop(): void {
    clearTimeout(this.#timer)
  }

  /** The rest of the wait, for the next relay. */
  get seconds(): number {
    return Math.max(1, Math.ceil((this.endsAtMs - performance.now()) / 1_000))
  }

  /** Ends nodes that were waited for in vain, but not those that were cancelled, or left to the next process. */
  async expire(nodes: readonly string[], relay: string, unreached: BrokenHop): Promise<void> {
    if (this.ended.aborted) return
    const message = `not there until ${new Date(this.untilMs).toISOString()}: ${unreached.reason}`
    await this.progress.endOpen(nodes, relay, { outcome: 'expired', message, unreached })
  }
}
