import type { Socket } from 'node:net'
import { answerUnderWay } from '../../api/answer-under-way.js'
import { MAX_CONNECTIONS_PER_NEIGHBOUR } from '../../hops/hop-places.js'
import { SourceQueue } from '../../values/sources/source-queue.js'

/** Connections of strangers, and as many of nodes and of relays, that are checked for an unused one. */
const MAX_LOOKED_AT = 100

/** Connections of a node with its certificate that make room for nobody. */
const MAX_OF_NODE = 64
/** The same for a relay below: twice as many as a relay opens to another one. */
const MAX_OF_RELAY = 2 * MAX_CONNECTIONS_PER_NEIGHBOUR
/** The largest part of all places that these may be, where there are few. */
const PART_OF_NODE = 1 / 16
const PART_OF_RELAY = 1 / 4

/** The caller that showed a certificate of the tree. The policy server makes room for nobody. */
export type ConnectedNeighbour =
  | { readonly kind: 'policy-server' }
  | { readonly kind: 'relay' | 'node'; readonly id: string }

/** A connection that has a place. */
export interface Place {
  readonly source: string
  readonly socket: Socket
  /** Whether its address is that of a caller that makes room for nobody, as long as it shows no certificate of the tree. */
  readonly isKnown: boolean
  neighbour?: ConnectedNeighbour | undefined
  /** Speaks HTTP: the socket itself, or the TLS over it. */
  connection: Socket
  /** When its last request with a body began: only of that one the body may be missing. */
  askedAtMs?: number
  /** How far an answer had come, and when it was first seen there. */
  seen?: { readonly atMs: number; readonly sent: number; readonly unsent: number }
}

export interface YieldingOptions {
  /** Places in all. */
  readonly max: number
  /** The time after which a connection counts as unused whose caller takes nothing of an answer. */
  readonly stalledMs: number
  /** The time after which a connection may make room whose request's body has not come. */
  readonly slowBodyMs: number
}

type Next = () => Place | undefined

/** The places of connections that may have to make room for others. */
export class YieldingPlaces {
  readonly #strangers = new SourceQueue<Place>()
  readonly #nodes = new SourceQueue<Place>()
  readonly #relays = new SourceQueue<Place>()
  readonly #mostOfNode: number
  readonly #mostOfRelay: number

  constructor(private readonly options: YieldingOptions) {
    this.#mostOfNode = partOf(options.max, PART_OF_NODE, MAX_OF_NODE)
    this.#mostOfRelay = partOf(options.max, PART_OF_RELAY, MAX_OF_RELAY)
  }

  /** Adds a place, as the newest of its source or neighbour, unless it makes room for nobody. */
  add(place: Place): void {
    const { neighbour, source, isKnown } = place
    if (neighbour === undefined) {
      if (!isKnown) this.#strangers.add(source, place)
    } else if (neighbour.kind !== 'policy-server') this.#queueOf(neighbour.kind).add(neighbour.id, place)
  }

  delete(place: Place): void {
    const { neighbour, source } = place
    if (neighbour === undefined) this.#strangers.delete(source, place)
    else if (neighbour.kind !== 'policy-server') this.#queueOf(neighbour.kind).delete(neighbour.id, place)
  }

  #queueOf(kind: 'relay' | 'node'): SourceQueue<Place> {
    return kind === 'relay' ? this.#relays : this.#nodes
  }

  /**
   * The place that a newcomer gets: of a node or relay with more than its number, whoever comes; else of the source of
   * strangers with the most, for one that has fewer.
   */
  whoMakesRoom({ source, isKnown }: Place): Place | undefined {
    const ofNodes = this.#unused(() => inExcess(this.#nodes, this.#mostOfNode))
    if (ofNodes?.isUnused === true) return ofNodes.place
    const ofRelays = this.#unused(() => inExcess(this.#relays, this.#mostOfRelay))
    if (ofRelays?.isUnused === true) return ofRelays.place
    const strangers = this.#strangers
    const ofStrangers = this.#unused(() => (isKnown ? strangers.oldestOfLargest() : strangers.oldestDueTo(source)))
    if (ofStrangers?.isUnused === true) return ofStrangers.place
    return (ofNodes ?? ofStrangers ?? ofRelays)?.place // a relay's files are those of many
  }

  /** Looks for an unused connection, or one that is slow to ask. What is in use goes behind the others of its source. */
  #unused(next: Next): { readonly place: Place; readonly isUnused: boolean } | undefined {
    const { stalledMs, slowBodyMs } = this.options
    let slow: Place | undefined
    for (let looked = 0; looked < MAX_LOOKED_AT; looked += 1) {
      const place = next()
      if (place === undefined || place === slow) break
      if (answerUnderWay(place.connection) === undefined || isStalled(place, stalledMs))
        return { place, isUnused: true }
      if (isSlowToAsk(place, slowBodyMs)) slow ??= place
      this.delete(place)
      this.add(place)
    }
    return slow && { place: slow, isUnused: false }
  }
}

/** The oldest of whoever has the most, where that is more than `most`. */
function inExcess(queue: SourceQueue<Place>, most: number): Place | undefined {
  return queue.most > most ? queue.oldestOfLargest() : undefined
}

function partOf(places: number, part: number, most: number): number {
  return Math.max(1, Math.min(most, Math.floor(places * part)))
}

/** Whether an answer waits for a caller that takes nothing; it shows when a connection is looked at again. */
function isStalled(place: Place, limitMs: number): boolean {
  const { bytesWritten: sent, writableLength: unsent } = place.connection
  const { seen } = place
  if (unsent > 0 && seen?.sent === sent && seen.unsent === unsent) return performance.now() - seen.atMs >= limitMs
  place.seen = { atMs: performance.now(), sent, unsent }
  return false
}

/** Whether an answer waits for the rest of its request, for longer than that. */
function isSlowToAsk({ connection, askedAtMs }: Place, limitMs: number): boolean {
  const isWhole = answerUnderWay(connection)?.req.complete ?? true
  return !isWhole && askedAtMs !== undefined && performance.now() - askedAtMs >= limitMs
}
