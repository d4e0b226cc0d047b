/**
 * The abilities of a neighbouring relay. Existing relays (Rudder's relayd) and Treeline answer the same requests, and
 * differ in what can be relied upon beyond the contract. Features ask for the ability that they need.
 */
export interface Dialect {
  readonly name: 'treeline' | 'relayd'
  /**
   * Whether it takes a run id once only, answers with events, and can be asked for a run by its id. Otherwise an
   * order that is given twice is carried out twice, and a run is known by its open connection alone.
   */
  readonly recognizesRunIds: boolean
  /** Whether it sends something every few seconds while a run lasts, so that silence means that the run was lost. */
  readonly isHeardDuringRuns: boolean
  /**
   * Whether it passes the list of passed relays on, so that a request that goes round ends at the first relay it
   * meets again.
   */
  readonly listsPassedRelays: boolean
  /**
   * Whether it keeps files for nodes below it. Otherwise, what it refuses is kept here, where its own agent fetches
   * it.
   */
  readonly keepsFilesForNodesBelow: boolean
}

export const TREELINE: Dialect = {
  name: 'treeline',
  recognizesRunIds: true,
  isHeardDuringRuns: true,
  listsPassedRelays: true,
  keepsFilesForNodesBelow: true
}

/** Rudder's relayd, and every neighbour that has not shown yet that it is a Treeline relay. */
export const RELAYD: Dialect = {
  name: 'relayd',
  recognizesRunIds: false,
  isHeardDuringRuns: false,
  listsPassedRelays: false,
  keepsFilesForNodesBelow: false
}
