import type { ForwardOrder } from './dispatch/order.js'
import type { RunProgress } from './progress/run-progress.js'
import type { RunWait } from './progress/wait-deadline.js'

/** What the parts of one run share, whoever carries them out. */
export interface RunUnderWay {
  readonly order: ForwardOrder
  readonly progress: RunProgress
  /** Undefined: nodes and sub-relays that are away are not waited for. */
  readonly wait: RunWait | undefined
  /** Aborts when the run is cancelled; its reason is a text for users. */
  readonly signal: AbortSignal
  /** Aborts, before `signal`, when the run is left to the next process as it is. */
  readonly suspended: AbortSignal
  /** To be called when a command has begun to run, or a neighbour has taken its part. */
  readonly onStarted: () => void
}
