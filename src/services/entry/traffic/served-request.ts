/** A request of a caller, when it is over. */
export interface ServedRequest {
  /** The id by which logs name it: the caller's, or one of this relay. */
  readonly id: string
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** The address of the caller's connection. */
  readonly address: string
  /** Undefined where no service was found. */
  readonly key: string | undefined
  /** The first hop: `client`, `service`, or the id of the relay or agent below. Undefined where it went nowhere. */
  readonly hop: string | undefined
  /** Undefined: the caller left before an answer. */
  readonly status: number | undefined
  /** Whether the answer came whole. */
  readonly isWhole: boolean
  /** Bytes of bodies, and raw ones: from the caller, and to it. */
  readonly received: number
  readonly sent: number
  /** From the head of the request to the head of the answer. */
  readonly firstByteMs: number | undefined
  readonly durationMs: number
}

/** Facts of a request that has come. */
export interface CameRequest {
  readonly method: string
  /** `/path?query`, or `*`. */
  readonly target: string
  readonly remoteAddress: string
  /** The header `X-Request-Id`. */
  readonly givenId: string | undefined
}
