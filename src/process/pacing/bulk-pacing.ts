/**
 * The bytes that a bulk stream moves a second, at most, while an order is under way. So an order finds processor and
 * disk nearly free, and a file moves on during the longest of runs.
 */
const PACED_BYTES = 32 * 1024 * 1024

/** How long an order counts as under way after its last sign. */
const ORDER_MS = 20

/** However much was moved at once. */
const MAX_PAUSE_MS = 50

let orderUntilMs = Number.NEGATIVE_INFINITY

/** A sign of an order in this process: it came, something came of it, or it was cancelled. @param nowMs monotonic */
export function noteOrder(nowMs = performance.now()): void {
  orderUntilMs = nowMs + ORDER_MS
}

/** @returns how long a bulk stream rests after `bytes`, in whole ms, as timers take them: 0 while no order is under way. @param nowMs monotonic */
export function bulkPauseMs(bytes: number, nowMs = performance.now()): number {
  return nowMs < orderUntilMs ? Math.min(MAX_PAUSE_MS, Math.ceil((bytes / PACED_BYTES) * 1_000)) : 0
}
