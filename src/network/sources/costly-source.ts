import type { EventEmitter } from 'node:events'

/** An HTTP server emits it with a `CostlySource` when it has ended connections that cost much and brought little. */
export const COSTLY_SOURCE = 'costlySource'

export interface CostlySource {
  readonly source: string
  /** The thing that the connections sent. */
  readonly of: 'small pieces of request bodies' | 'pipelined requests'
  /** Whether the source has sent too much of it in all, not one connection alone. */
  readonly isOver: boolean
}

/** Calls back for each event of a server. */
export function onCostlySource(server: EventEmitter, act: (event: CostlySource) => void): void {
  server.on(COSTLY_SOURCE, act)
}
