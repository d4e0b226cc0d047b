import type { BrokenHop, CountedOutcome, NodeOutcome } from '../../values/runs/run-event.js'

export type RunState = 'running' | 'done' | 'cancelled' | 'interrupted'

/**
 * The way on which this relay reached a node that it runs itself: over the link that its agent or, for a sub-relay,
 * its process holds, by a connection of ours to a sub-relay that holds none, or by a command.
 */
export type Reached = 'link' | 'direct' | 'command'

export interface NodeRecord {
  readonly node: string
  /** The sub-relay that it is below, or undefined where it is run by this relay. */
  readonly via?: string | undefined
  /** Undefined below a sub-relay, and while nothing was tried. */
  readonly reached?: Reached | undefined
  readonly outcome: NodeOutcome
  readonly exitCode?: number | undefined
  readonly startedAtMs?: number | undefined
  readonly durationMs?: number | undefined
  readonly message?: string | undefined
  /** The hop at which the way ended, for a node that was not reached. */
  readonly unreached?: BrokenHop | undefined
}

export interface RunRecord {
  readonly id: string
  readonly state: RunState
  readonly askedBy: string
  readonly nodes: 'all' | 'list'
  readonly conditions: readonly string[]
  readonly keepOutput: boolean
  readonly asynchronous: boolean
  readonly startedAtMs: number
  readonly endedAtMs: number | undefined
  readonly waitUntilMs: number | undefined
  /** How many nodes have each outcome; those that are done are told apart by exit code. */
  readonly counts: Readonly<Partial<Record<CountedOutcome, number>>>
}
