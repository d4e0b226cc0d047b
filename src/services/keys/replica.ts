import type { FramedStream } from '../../links/streams/framed-stream.js'
import type { Annotations } from '../../values/annotations.js'

/** The way to a replica: the link of a client, relay or agent. One object for as long as the link stands. */
export interface ServiceWay {
  /** Names it in refusals, such as `client git/one`. */
  readonly name: string
  readonly isOpen: boolean
  /** Streams that are open on it. */
  readonly streams: number
  /**
   * Opens a stream towards the service. Its `sink` is to be set in this turn.
   * @throws {Error} (or rejects) when nothing was sent: another way may be tried
   */
  open(payload: Buffer): FramedStream | Promise<FramedStream>
}

/** The facts of a replica that are told upward. */
export interface ReplicaFacts {
  /** The key under which it is called. */
  readonly key: string
  /** Tells it apart from others under the key: a client's id, or the id of a node. */
  readonly id: string
  /** The relays between this one and the replica, from here on. */
  readonly path: readonly string[]
  /** `address:port` from which it came to its relay. */
  readonly remoteAddress: string
  readonly connectedAtMs: number
  readonly type?: string | undefined
  readonly annotations?: Annotations | undefined
  /** The time since which a link on its path is away: it cannot be reached, and is listed alone. */
  readonly staleSinceMs?: number | undefined
}

/** One process that serves a key. */
export interface Replica extends ReplicaFacts {
  /** Undefined where its link is away. */
  readonly way: ServiceWay | undefined
}
