/** How long a run can wait for nodes that are not connected: as long as run ids are remembered. */
export const LONGEST_WAIT_S = 604_800

/**
 * The rest of a wait that was ordered at `startedAtMs`, in ms: never more than was ordered, also where the clock was
 * set back since (a machine without a clock of its own starts in the past), so that a timer can take it as well.
 */
export function waitLeftMs(untilMs: number, nowMs: number, startedAtMs: number): number {
  const orderedMs = Math.min(untilMs - startedAtMs, LONGEST_WAIT_S * 1_000)
  return Math.max(0, Math.min(untilMs - nowMs, orderedMs))
}
