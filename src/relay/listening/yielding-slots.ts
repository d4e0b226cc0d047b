import type { Socket } from 'node:net'
import { answerUnderWay } from '../../api/requests/answer-under-way.js'
import { MAX_CONNECTIONS_PER_NEIGHBOUR } from '../../hops/hop-slots.js'
import { SourceQueue } from '../../network/sources/source-queue.js'
import type { ProvenNeighbour } from '../../tree/known-certificates.js'

/** Connections of strangers, and as many of nodes and of relays, that are checked for an unused one. */
const MAX_LOOKED_AT = 100

/** Connections of a node with its certificate that make room for nobody. */
const MAX_OF_NODE = 64
/** The same for a relay below: twice as many as a relay opens to another one. */
const MAX_OF_RELAY = 2 * MAX_CONNECTIONS_PER_NEIGHBOUR
/** The largest part of all slots that these may be, where there are few. */
const PART_OF_NODE = 1 / 16
const PART_OF_RELAY = 1 / 4

/** A connection that has a slot. */
export interface ConnectionSlot {
  readonly source: string
  readonly socket: Socket
  /** Whether its address is that of a caller that makes room for nobody, as long as it shows no certificate of the tree. */
  readonly isKnown: boolean
  /** The caller that showed a certificate of the tree. The policy server makes room for nobody. */
  neighbour?: ProvenNeighbour | undefined
  /** Speaks HTTP: the socket itself, or the TLS over it. */
  connection: Socket
  /** When its last request with a body began: only of that one the body may be missing. */
  askedAtMs?: number
  /** How far an answer had come, and when it was first seen there. */
  seen?: { readonly atMs: number; readonly sent: number; readonly unsent: number }
}

export interface YieldingOptions {
  /** Slots in all. */
  readonly max: number
  /** The time after which a connection counts as unused whose caller takes nothing of an answer. */
  readonly stalledMs: number
  /** The time after which a connection may make room whose request's body has not come. */
  readonly slowBodyMs: number
}

type Next = () => ConnectionSlot | undefined

/** The slots of connections that may have to make room for others. */
export class YieldingSlots {
  readonly #strangers = new SourceQueue<ConnectionSlot>()
  readonly #nodes = new SourceQueue<ConnectionSlot>()
  readonly #relays = new SourceQueue<ConnectionSlot>()
  readonly #mostOfNode: number
  readonly #mostOfRelay: number

  constructor(private readonly options: YieldingOptions) {
    this.#mostOfNode = partOf(options.max, PART_OF_NODE, MAX_OF_NODE)
    this.#mostOfRelay = partOf(options.max, PART_OF_RELAY, MAX_OF_RELAY)
  }

  /** Adds a slot, as the newest of its source or neighbour, unless it makes room for nobody. */
  add(slot: ConnectionSlot): void {
    const { neighbour, source, isKnown } = slot
    if (neighbour === undefined) {
      if (!isKnown) this.#strangers.add(source, slot)
    } else if (neighbour.kind !== 'policy-server') this.#queueOf(neighbour.kind).add(neighbour.id, slot)
  }

  delete(slot: ConnectionSlot): void {
    const { neighbour, source } = slot
    if (neighbour === undefined) this.#strangers.delete(source, slot)
    else if (neighbour.kind !== 'policy-server') this.#queueOf(neighbour.kind).delete(neighbour.id, slot)
  }

  #queueOf(kind: 'relay' | 'node'): SourceQueue<ConnectionSlot> {
    return kind === 'relay' ? this.#relays : this.#nodes
  }

  /**
   * The slot that a newcomer gets: of a node or relay with more than its number, whoever comes; else of the source of
   * strangers with the most, for one that has fewer.
   */
  whoMakesRoom({ source, isKnown }: ConnectionSlot): ConnectionSlot | undefined {
    const ofNodes = this.#unused(() => inExcess(this.#nodes, this.#mostOfNode))
    if (ofNodes?.isUnused === true) return ofNodes.slot
    const ofRelays = this.#unused(() => inExcess(this.#relays, this.#mostOfRelay))
    if (ofRelays?.isUnused === true) return ofRelays.slot
    const strangers = this.#strangers
    const ofStrangers = this.#unused(() => (isKnown ? strangers.oldestOfLargest() : strangers.oldestDueTo(source)))
    if (ofStrangers?.isUnused === true) return ofStrangers.slot
    return (ofNodes ?? ofStrangers ?? ofRelays)?.slot // a relay's files are those of many
  }

  /** Looks for an unused connection, or one that is slow to ask. What is in use goes behind the others of its source. */
  #unused(next: Next): { readonly slot: ConnectionSlot; readonly isUnused: boolean } | undefined {
    const { stalledMs, slowBodyMs } = this.options
    let slow: ConnectionSlot | undefined
    for (let looked = 0; looked < MAX_LOOKED_AT; looked += 1) {
      const slot = next()
      if (slot === undefined || slot === slow) break
      if (answerUnderWay(slot.connection) === undefined || isStalled(slot, stalledMs)) return { slot, isUnused: true }
      if (isSlowToAsk(slot, slowBodyMs)) slow ??= slot
      this.delete(slot)
      this.add(slot)
    }
    return slow && { slot: slow, isUnused: false }
  }
}

/** The oldest of whoever has the most, where that is more than `most`. */
function inExcess(queue: SourceQueue<ConnectionSlot>, most: number): ConnectionSlot | undefined {
  return queue.most > most ? queue.oldestOfLargest() : undefined
}

function partOf(slots: number, part: number, most: number): number {
  return Math.max(1, Math.min(most, Math.floor(slots * part)))
}

/** Whether an answer waits for a caller that takes nothing; it shows when a connection is looked at again. */
function isStalled(slot: ConnectionSlot, limitMs: number): boolean {
  const { bytesWritten: sent, writableLength: unsent } = slot.connection
  const { seen } = slot
  if (unsent > 0 && seen?.sent === sent && seen.unsent === unsent) return performance.now() - seen.atMs >= limitMs
  slot.seen = { atMs: performance.now(), sent, unsent }
  return false
}

/** Whether an answer waits for the rest of its request, for longer than that. */
function isSlowToAsk({ connection, askedAtMs }: ConnectionSlot, limitMs: number): boolean {
  const isWhole = answerUnderWay(connection)?.req.complete ?? true
  return !isWhole && askedAtMs !== undefined && performance.now() - askedAtMs >= limitMs
}
