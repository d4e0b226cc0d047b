import type { Backoff } from '../../values/time/backoff.js'
import { RENEWAL_MS } from '../../values/time/lease.js'
import { RUN_BACKOFF } from './run-backoff.js'

/** The waits of remote runs, in ms. Tests shorten them. */
export interface RunTiming {
  /** The time between SIGTERM and SIGKILL for a command. */
  readonly killGraceMs: number
  /** The silence after which a live reader is told that the run is alive. */
  readonly aliveMs: number
  /** A relay that speaks NDJSON and is silent for so long is lost: it owes an `alive` every 15 s. */
  readonly silenceMs: number
  /**
   * How long no node of a neighbour's part need start or end before the part is given up; `remote_run.timeout` where that
   * is longer, or slots for runs run out.
   */
  readonly stallMs: number
  /**
   * How long a neighbour's part may take in all, however much goes on there; `remote_run.timeout` where that is longer. A
   * run that waits counts from the end of its wait.
   */
  readonly partMs: number
  /** Added to both for each level of relays that may be below, so that those give up first. */
  readonly stallSlackMs: number
  /** The waits before a lost stream of an asynchronous run is taken up again. */
  readonly resumeBackoff: Backoff
  /** How long a lost stream is tried to be taken up again, without one event coming. */
  readonly resumeLimitMs: number
  /** Outcomes of nodes reach the database within this time. */
  readonly recordDelayMs: number
  /** The wait before the end of a run that the database refused is given to it again. */
  readonly recordAgainMs: number
  /** The time between two renewals of the claims on runs. */
  readonly renewalMs: number
}

/** The longest time of a part at a neighbour: as long as a run id is known. */
export const MAX_PART_MS = 7 * 24 * 60 * 60_000

export const RUN_TIMING: RunTiming = {
  killGraceMs: 5_000,
  aliveMs: 15_000,
  silenceMs: 60_000,
  stallMs: 24 * 60 * 60_000,
  partMs: MAX_PART_MS,
  stallSlackMs: 30_000,
  resumeBackoff: RUN_BACKOFF,
  resumeLimitMs: 60 * 60_000,
  recordDelayMs: 1_000,
  recordAgainMs: 5_000,
  renewalMs: RENEWAL_MS
}
