/** How long a run can wait for nodes that are not connected: as long as run ids are remembered. */
export const LONGEST_WAIT_S = 604_800
