import type { Backoff } from '../../values/time/backoff.js'

/** The waits before a lost stream of an asynchronous run is taken up again. */
export const RUN_BACKOFF: Backoff = { firstMs: 1_000, maxMs: 30_000 }
