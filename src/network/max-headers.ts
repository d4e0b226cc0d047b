/**
 * `maxHeadersCount` of every HTTP server: no limit. With one (1,000 unless told otherwise) Node drops the headers beyond
 * it in silence, so that a caller could push out of sight what a proxy adds, or the length of a body. How many there
 * may be is checked where requests are served.
 */
export const MAX_HEADERS_OFF = 0
