import type { DispatchOrder } from './dispatch/order.js'
import type { RunProgress } from './progress/run-progress.js'
import type { WaitDeadline } from './progress/wait-deadline.js'

/** The data that the parts of one run share, whoever carries them out. */
export interface RunScope {
  readonly order: DispatchOrder
  readonly progress: RunProgress
  /** Undefined: nodes and sub-relays that are away are not waited for. */
  readonly wait: WaitDeadline | undefined
  /** Aborts when the run is cancelled; its reason is a text for users. */
  readonly signal: AbortSignal
  /** Aborts, before `signal`, when the run is left to the next process as it is. */
  readonly suspended: AbortSignal
  /** Called when a command has begun to run, or a neighbour has taken its part. */
  readonly onStarted: () => void
}
