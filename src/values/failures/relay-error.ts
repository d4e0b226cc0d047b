/**
 * The codes of expected failures while serving a request. `src/api/answers/error-handler.ts` alone knows which HTTP
 * status each one has; a new code does not compile without one.
 */
export type RelayErrorCode =
  | 'INVALID_INPUT'
  | 'FORBIDDEN'
  | 'BAD_SIGNATURE'
  | 'UNKNOWN_NODE'
  | 'UNKNOWN_SOURCE'
  /** The caller may be our policy server, which we would believe; on this connection nothing shows it. */
  | 'NOT_RECOGNIZED'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'CONDITION_FAILED'
  | 'NO_SUCH_RANGE'
  | 'CLIENT_TOO_SLOW'
  | 'CLIENT_GONE'
  | 'BODY_TOO_LARGE'
  | 'TOO_MANY_HEADERS'
  | 'HTTP_VERSION'
  | 'NO_HOST'
  | 'UNKNOWN_EXPECTATION'
  /** A request whose body has no certain end, so nothing further is taken from its connection. */
  | 'FAULTY_FRAMING'
  | 'UNSUPPORTED_MEDIA'
  | 'HOP_UNREACHABLE'
  | 'BUSY'
  | 'STOPPING'
  | 'STORAGE_FULL'
  | 'STORAGE_UNUSABLE'
  | 'NO_TREE'
  | 'LOOP_DETECTED'
  | 'DISABLED'
  | 'NO_COMMON_VERSION'

/** An expected failure. `message` is for the caller: it says what is wrong, with which value, and what to do. */
export class RelayError extends Error {
  override name = 'RelayError'

  constructor(
    readonly code: RelayErrorCode,
    message: string,
    options?: ErrorOptions
  ) {
    super(message, options)
  }
}

/**
 * A neighbouring relay answered with a 4xx of its own, which is passed on as it is.
 * @param status the neighbour's status, 400 to 499
 */
export class HopRefusedError extends Error {
  override name = 'HopRefusedError'

  constructor(
    readonly hop: string,
    readonly status: number,
    message: string
  ) {
    super(message)
  }
}
