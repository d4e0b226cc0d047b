/** Headers that Treeline relays exchange. All lower case, as Node delivers them. */

/**
 * The version of the program, on every answer of ours. A relay that never showed it speaks only the plain Rudder API.
 */
export const RELAY_HEADER = 'treeline-relay'

/** `<oldest>-<newest>`: the versions of the protocol that a neighbour speaks, on its requests, and on the answers to them. */
export const PROTOCOL_HEADER = 'treeline-protocol'

/** Ids of the relays that a request passed, oldest first, separated by commas. Believed from known relays only. */
export const PASSED_HEADER = 'treeline-passed'

/**
 * The secret of its link, by which a lower relay or agent shows that it holds that link; on an answer, `unknown`: no
 * such link stands. It belongs to one connection, and is never relayed.
 */
export const LINK_SECRET_HEADER = 'treeline-link-secret'

/** When the first relay accepted a shared file, in ms since 1970; with a series, the file's number in that. */
export const ACCEPTED_AT_HEADER = 'treeline-accepted-at'

/** The series in which the first relay numbers shared files, when it accepted this one, and what time it is now. */
export const SERIES_HEADER = 'treeline-accepted-in'

/** The key hash of a source that the receiving relay does not know, vouched for by its policy server. */
export const SOURCE_KEY_HASH_HEADER = 'treeline-source-key-hash'

/**
 * `expected` with a refusal of somebody who is not recognized: this relay holds a link to its policy server whenever it
 * can, and is to be asked over that.
 */
export const LINK_HEADER = 'treeline-link'

/** `pending` when a shared file waits in the outbox; `superseded` when a newer one is there, and it was not kept. */
export const STATE_HEADER = 'treeline-state'

/** The ULID of a remote run: on every answer, and on requests of known relays. */
export const RUN_ID_HEADER = 'treeline-run-id'

/**
 * The id of an order, with an asynchronous run: a ULID of the caller's own, so that the order can be given again when
 * its answer was lost. It counts among the orders of that caller alone.
 */
export const ORDER_ID_HEADER = 'treeline-order-id'

/** The id of a request, passed on through every hop, so that the request can be found in all logs. */
export const REQUEST_ID_HEADER = 'x-request-id'

/** The media type in which our relays speak of runs: one JSON event a line. */
export const NDJSON = 'application/x-ndjson'

/** The content type of forms, which carry what the API is asked to do. */
export const FORM = 'application/x-www-form-urlencoded'

/** The metadata block of a fetched file, in base64, so that its receiver can verify the signature again. */
export const FILE_METADATA_HEADER = 'treeline-file-metadata'

/** The time at which a fetched file expires, in seconds since 1970. */
export const FILE_EXPIRES_HEADER = 'treeline-file-expires'
