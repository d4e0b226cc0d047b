import type { Config } from '../config/config.js'
import type { Neighbours } from '../hops/hop.js'
import type { Logger } from '../values/logging/logger.js'
import type { NodeQueues } from './dispatch/node-queues.js'
import type { Reachability } from './dispatch/reachability.js'
import type { CommandLine } from './execution/command.js'
import type { CommandHostPool } from './execution/command-host-pool.js'
import type { ConcurrencyLimiter } from './execution/concurrency-limiter.js'
import type { RunTiming } from './progress/run-timing.js'
import type { RunRepository } from './records/run-repository.js'

/** The context that all runs of a relay share. */
export interface RunContext {
  readonly config: Config['remoteRun']
  readonly selfId: string
  readonly neighbours: Neighbours
  readonly commandLine: CommandLine
  readonly slots: ConcurrencyLimiter
  /** The slots for orders over links. */
  readonly linkSlots: ConcurrencyLimiter
  readonly hosts: CommandHostPool
  readonly isRelay: (node: string) => boolean
  /**
   * Whether a node is asked to run itself. A sub-relay only where no command stands in for it: it is asked for what is
   * below it, and existing ones are unknown to themselves (contract).
   */
  readonly canRunItself: (node: string) => boolean
  /** Whether a node needs no link to be asked to run itself: one that joined as a relay, where no command stands in. */
  readonly isAskedDirectly: (node: string) => boolean
  /** The way on which a node can be asked to run itself now; undefined: there is none. */
  readonly wayTo: (node: string) => 'link' | 'direct' | undefined
  readonly reachability: Reachability
  /** Whether few slots are left for further runs. */
  readonly isCrowded: () => boolean
  readonly nodeQueues: NodeQueues
  readonly repository: RunRepository
  readonly logger: Logger
  readonly timing: RunTiming
  readonly now: () => number
}
