import type { Hop } from '../../hops/hop.js'
import type { RunContext } from '../run-context.js'
import type { NotTaken } from './not-taken.js'
import type { OrderPart } from './order.js'

/** The part of the context that an execution elsewhere needs. */
export type ExecutionContext = Pick<RunContext, 'selfId' | 'config' | 'timing' | 'isCrowded' | 'nodeQueues'>

/** The part of a run that a neighbour carries out. */
export interface RemotePart {
  readonly hop: Hop
  readonly part: OrderPart
  /** The hop is a node that runs itself, not a sub-relay: it speaks for itself alone, under the name of this relay. */
  readonly node?: string
  /** Called instead of giving the part up, when the hop has not taken it and nothing of it can have been started. */
  readonly onNotTaken?: (why: NotTaken, reason?: string) => void
  /**
   * Called instead of giving the part up, when it can be given to the hop again: the hop has heard nothing of it, or
   * takes a run id once only.
   * @param wasSent the hop is there, or was until now, and may take nothing for a while
   */
  readonly onAway?: (reason: string, wasSent: boolean) => void
  /** Called when the hop turns out to speak text alone. */
  readonly onText?: () => Promise<void>
}
