import type { Config } from '../config/config.js'
import type { Commit } from '../storage/group-commit.js'
import type { RunStore } from '../storage/run-store.js'
import type { Neighbours } from '../tree/hop.js'
import type { Logger } from '../values/logger.js'
import type { CommandLine } from './command.js'
import type { CommandHosts } from './command-hosts.js'
import type { CommandSlots } from './command-slots.js'
import type { Connections } from './connections.js'
import type { RunTiming } from './timing.js'

/** What all runs of a relay share. */
export interface RunContext {
  readonly config: Config['remoteRun']
  readonly selfId: string
  readonly neighbours: Neighbours
  readonly commandLine: CommandLine
  readonly slots: CommandSlots
  /** For orders over links. */
  readonly linkSlots: CommandSlots
  readonly hosts: CommandHosts
  readonly isRelay: (node: string) => boolean
  /**
   * Whether a node is asked over its link. A sub-relay only where no command stands in for it: over its link it is
   * asked for what is below it, and existing ones are unknown to themselves (contract).
   */
  readonly canRunItself: (node: string) => boolean
  readonly connections: Connections
  readonly store: RunStore
  readonly commit: Commit
  readonly logger: Logger
  readonly timing: RunTiming
  readonly now: () => number
}
