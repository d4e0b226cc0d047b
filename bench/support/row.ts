import type { Cleanup } from './cleanup.js'

export type Unit = 's' | 'ms' | 'µs' | '/s' | 'MiB' | 'KiB'

/** One number of a row, beside the number that it is held against. */
export interface Check {
  readonly what: string
  readonly value: number
  readonly unit: Unit
  /** Measured in the same run, with the ratio of both: that is what the bound is for. Without, it is for `value`. */
  readonly reference?: number
  readonly ratio?: number
  readonly bound: { readonly atMost: number } | { readonly atLeast: number }
}

export interface Measurement {
  readonly checks: readonly Check[]
  /** Remarks for the reader on how the numbers came about. */
  readonly notes?: readonly string[]
}

export interface RowContext {
  /** A folder of the row's own, on disk (not in memory: fsync is part of what is measured). */
  readonly folder: string
  /** Closes what the row started, last first. */
  readonly cleanup: Cleanup
  /** A line of progress, for whoever waits. */
  readonly say: (text: string) => void
}

/** A row of the table in `docs/benchmarks.md`. */
export interface Row {
  readonly name: string
  readonly what: string
  readonly reference: string
  readonly bound: string
  run(context: RowContext): Promise<Measurement>
}

/** The number that is compared with the bound. */
export function comparedValue(check: Check): number {
  return check.ratio ?? check.value
}

export function isWithinBound(check: Check): boolean {
  const compared = comparedValue(check)
  return 'atMost' in check.bound ? compared <= check.bound.atMost : compared >= check.bound.atLeast
}
