import type { Backoff } from '../../values/time/backoff.js'

/**
 * The first wait after a link was lost, and the longest, in ms. Each is shortened at random by up to half. A relay has a
 * setting for the longest: `links.longest_wait`, in `src/config/links-parser.ts`.
 */
export const LINK_BACKOFF: Backoff = { firstMs: 500, maxMs: 30_000 }

/** A link that stood this long was a good one: the waits begin anew. */
export const SETTLED_LINK_MS = 60_000
