import type { FramedStream, StreamResetError, StreamSink } from '../../links/streams/framed-stream.js'
import { RESET } from '../../links/streams/stream-protocol.js'
import type { UpperLink } from '../../links/upper/upper-link.js'
import { BadAnnouncementError, formatRefused, type KeyLine, linesOf, parseKeyLine } from './announcement.js'
import { LinkWay } from './link-way.js'
import type { Replica, ReplicaFacts, ServiceWay } from './replica.js'

/** Why a side tells no more: it ended, it never told anything, or it was cut off. */
export type AskedEnd = 'ended' | 'refused' | 'broken'

/** The relay that takes what is announced. `from` is the id of the relay or agent that tells. */
export interface Announcements {
  readonly selfId: string
  /** @returns why the replica is not taken */
  take(replica: Replica, from: string): string | undefined
  /** @returns why a replica may not be offered */
  whyNot(replica: Replica, from: string): string | undefined
  drop(replica: Replica): void
  /** All replicas of the other side have been told. */
  isComplete(from: string): void
  isFaulty(from: string, problem: string): void
  ended(announced: AnnouncedReplicas, from: string, replicas: readonly Replica[]): void
}

/** Hears over a stream of the kind `keys` which replicas the holder of a link reaches. */
export class AnnouncedReplicas implements StreamSink {
  readonly #byNumber = new Map<number, Replica>()
  readonly #way: ServiceWay
  #isOver = false
  /** Whether the other side reads refusals: one that does not is told no more, or they would fill the memory. */
  #isHeard = true

  constructor(
    private readonly link: UpperLink,
    private readonly stream: FramedStream,
    private readonly taker: Announcements,
    private readonly onOver: (end: AskedEnd) => void
  ) {
    this.#way = new LinkWay(link.owner.id, link)
  }

  onMessage(payload: Buffer): void {
    this.stream.consumed(payload.length)
    for (const text of linesOf(payload)) {
      try {
        this.#heard(parseKeyLine(text))
      } catch (error) {
        if (!(error instanceof BadAnnouncementError)) throw error
        this.taker.isFaulty(this.link.owner.id, error.message)
      }
    }
  }

  onData(piece: Buffer): void {
    this.stream.consumed(piece.length)
  }

  onEnd(): void {
    this.stream.end()
    this.#over('ended')
  }

  onReset({ code }: StreamResetError): void {
    this.#over(code === RESET.refused ? 'refused' : 'broken')
  }

  onDrain(): void {
    this.#isHeard = true
  }

  /** Drops the replicas that may not be offered any more. */
  review(): void {
    for (const [number, replica] of this.#byNumber) {
      const refusal = this.taker.whyNot(replica, this.link.owner.id)
      if (refusal === undefined) continue
      this.#byNumber.delete(number)
      this.taker.drop(replica)
      this.#refuse(number, refusal)
    }
  }

  #over(end: AskedEnd): void {
    if (this.#isOver) return
    this.#isOver = true
    const replicas = [...this.#byNumber.values()]
    this.#byNumber.clear()
    this.taker.ended(this, this.link.owner.id, replicas)
    this.onOver(end)
  }

  #heard(line: KeyLine): void {
    const { id } = this.link.owner
    if (line.says === 'complete') this.taker.isComplete(id)
    else if (line.says === 'replica') this.#come(line.number, line.facts)
    else if (line.says === 'gone') {
      const replica = this.#byNumber.get(line.number)
      this.#byNumber.delete(line.number)
      if (replica !== undefined) this.taker.drop(replica)
    }
  }

  #come(number: number, facts: ReplicaFacts): void {
    const { id, kind } = this.link.owner
    if (this.#byNumber.has(number)) throw new BadAnnouncementError(`number ${number} comes twice`)
    if (facts.path.includes(this.taker.selfId)) return // the links lead in a circle
    const way = facts.staleSinceMs === undefined ? this.#way : undefined
    const { remoteAddress, connectedAtMs } = this.link // as for a client: an agent tells of itself alone
    const replica: Replica =
      kind === 'relay'
        ? { ...facts, path: [id, ...facts.path], way }
        : { ...facts, id, path: [], remoteAddress, connectedAtMs, way }
    const refusal = this.taker.take(replica, id)
    if (refusal === undefined) this.#byNumber.set(number, replica)
    else this.#refuse(number, refusal)
  }

  #refuse(number: number, why: string): void {
    if (this.#isHeard) this.#isHeard = this.stream.message(Buffer.from(formatRefused(number, why)))
  }
}
