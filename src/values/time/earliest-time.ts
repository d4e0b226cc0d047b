/** A clock that is earlier, in ms since 1970, is wrong: this program is younger. A board without a battery starts in 1970. */
export const EARLIEST_MS = Date.UTC(2026, 0, 1)
