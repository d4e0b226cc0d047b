import type { Readable } from 'node:stream'
import type { Dialect } from './dialect.js'

/**
 * The load that an exchange puts on the connection that carries it: a `short` one is over at once, `bulk` may fill
 * the connection for as long as it likes and gives way to others, a `stream` lasts long without being much.
 */
export type Weight = 'short' | 'bulk' | 'stream'

/** A request to a neighbour. */
export interface HopRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST'
  /** The path below the relay API, without a leading slash: `shared-files/a/b/c?ttl=60`. */
  readonly path: string
  /** Lower-case names. Hop-by-hop headers and `expect` are dropped here. */
  readonly headers: Readonly<Record<string, string>>
  /** A function, so that the request can be made again while nothing of it was sent. */
  readonly body?: () => Readable | Buffer
  readonly signal?: AbortSignal
  /** @default 'short' */
  readonly weight?: Weight
  /**
   * How long the neighbour may be silent before its answer or within it, in ms; 0 for no limit.
   * @default `general.response_timeout`
   */
  readonly silenceLimitMs?: number
}

/** An answer's headers, lower-case, hop-by-hop ones removed. */
export type HopHeaders = Readonly<Record<string, string>>

/**
 * The outcome of a request:
 * - `answered`: the neighbour did it (a status below 400)
 * - `refused`: the neighbour decided against it (a 4xx other than 408 and 429)
 * - `unreachable`: it could not be asked, or could not decide (connect error, timeout, break, 408, 429, 5xx)
 *
 * Whoever gets a `body` reads it to its end or destroys it.
 */
export type HopOutcome =
  | { readonly kind: 'answered'; readonly status: number; readonly headers: HopHeaders; readonly body: Readable }
  | { readonly kind: 'refused'; readonly status: number; readonly headers: HopHeaders; readonly body: Readable }
  | {
      readonly kind: 'unreachable'
      /** The reason in one line for a user: which address, and what went wrong. */
      readonly reason: string
      readonly status?: number
      /** False when nothing of the request had been sent, so that it is safe to ask again. */
      readonly sent: boolean
    }

/** A neighbouring relay. Whether it is reached directly or over a link is nobody's business above this interface. */
export interface Hop {
  /** The neighbour's node id; `policy-server` for the one above, whose id a relay is not told. */
  readonly id: string
  /**
   * Rejects only when `signal` aborts (with its reason); every failure of the neighbour is an `unreachable` outcome.
   */
  request(request: HopRequest): Promise<HopOutcome>
  /** The neighbour's dialect, as its last answer showed it; remembered through restarts. */
  readonly dialect: Dialect
}

/** Neighbours that opened a connection themselves, over which they take requests (src/links). */
export interface LinkedNeighbours {
  /** @returns undefined while `id` has no link. An outcome with `sent: false` may be asked for again another way */
  find(id: string): Hop | undefined
  /** @param listener is told of each link that opens */
  onOpen(listener: (id: string) => void): void
}

/** The link to the policy server (src/links), as far as requests to it over other connections are concerned. */
export interface LinkToUpper {
  /**
   * The secret by which the policy server knows us for the holder of the link.
   * @param address `https://host:port`, its own
   */
  secretFor(address: string): string | undefined
  /** Whether there is none now. It is being opened, and until then the policy server may not know who asks. */
  readonly isAwaited: boolean
}

/** The neighbours of a relay. */
export interface Neighbours {
  /** @throws {RelayError} UNKNOWN_NODE when `id` is not a node managed by this relay */
  down(id: string): Hop
  /** @throws {RelayError} UNKNOWN_NODE at the root, which has none */
  up(): Hop
  /** A node that holds a link, were it a relay or not; undefined: it can only be reached directly, if at all. */
  linked(id: string): Hop | undefined
  /** Whether it holds one when it can: it held one before, remembered through restarts, or joined with a token. */
  shouldHoldLink?(id: string): boolean
  /** Whether it joined as a relay, and so answers our API also where it holds no link and nothing is below it. */
  hasJoinedAsRelay?(id: string): boolean
  /** @param listener is told of each link that opens */
  onLinked?(listener: (id: string) => void): void
  /** Closes all connections; requests under way end as unreachable. */
  close(): Promise<void>
}

/** The id under which the relay above appears in records, metrics and messages. */
export const POLICY_SERVER = 'policy-server'
