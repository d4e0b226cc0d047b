/** How long a claim lasts after it was renewed last, as when its process is gone, in ms. */
export const LEASE_MS = 60_000

/** The time between two renewals, in ms: two may fail before the claim ends. */
export const RENEWAL_MS = 20_000
