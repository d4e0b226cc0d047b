import type { FramedStream, StreamResetError, StreamSink } from '../../links/streams/framed-stream.js'
import { RESET } from '../../links/streams/stream-protocol.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { formatOpening } from '../streams/open-line.js'
import type { TakeKind } from '../streams/stream-kinds.js'
import { formatReplica, linesOf, parseKeyLine } from './announcement.js'
import { MAX_STREAM_HOPS } from './forward-stream.js'
import type { ReplicaFacts, ServiceWay } from './replica.js'

/** The clients to remove: those under a key, those with an id, or both. */
export interface ReplicaSelection {
  readonly key: string | undefined
  readonly id: string | undefined
}

/** Whether a replica is selected. */
export function isSelected({ key, id }: ReplicaFacts, selection: ReplicaSelection): boolean {
  return (selection.key ?? key) === key && (selection.id ?? id) === id
}

/** Has a relay below remove clients, over a stream of the kind `remove`: it answers with those that it has removed. */
export interface RemoteRemoval {
  /** @throws {Error} when the relay does not say that it is done */
  ask(way: ServiceWay, selection: ReplicaSelection, hops: number): Promise<ReplicaFacts[]>
}

/** Longer than any relay below takes for those below it. */
const ANSWER_LIMIT_MS = 10_000
/** Removed clients in an answer. */
const MAX_REMOVED = 20_000
/** The characters of a message of an answer. */
const MAX_MESSAGE_CHARS = 16 * 1024

export const removeBelow: RemoteRemoval = {
  async ask(way, { key, id }, hops) {
    const stream = await way.open(formatOpening({ kind: 'remove', key, id, hops: hops + 1 }))
    return new Promise<ReplicaFacts[]>((resolve, reject) => {
      const timer = setTimeout(() => {
        stream.reset(RESET.cancelled, 'it took too long')
        reject(new Error(`no answer within ${ANSWER_LIMIT_MS} ms`))
      }, ANSWER_LIMIT_MS)
      stream.sink = new Removed(stream, (error, facts) => {
        clearTimeout(timer)
        if (error === undefined) resolve(facts)
        else reject(error)
      })
      stream.end()
    })
  }
}

class Removed implements StreamSink {
  readonly #facts: ReplicaFacts[] = []

  constructor(
    private readonly stream: FramedStream,
    private readonly done: (error: Error | undefined, facts: ReplicaFacts[]) => void
  ) {}

  onMessage(payload: Buffer): void {
    this.stream.consumed(payload.length)
    try {
      for (const text of linesOf(payload)) {
        const line = parseKeyLine(text)
        if (line.says === 'replica' && this.#facts.length < MAX_REMOVED) this.#facts.push(line.facts)
      }
    } catch (error) {
      this.stream.reset(RESET.broken, errorMessage(error))
      this.done(new Error(errorMessage(error)), [])
    }
  }

  onData(piece: Buffer): void {
    this.stream.consumed(piece.length)
  }

  onEnd(): void {
    this.done(undefined, this.#facts)
  }

  onReset(error: StreamResetError): void {
    this.done(error, [])
  }

  onDrain(): void {}
}

/**
 * Takes streams of the kind `remove`.
 * @param remove removes here and below; `hops` are the relays that the request has passed
 */
export function takeRemovals(
  selfId: string,
  remove: (selection: ReplicaSelection, hops: number) => Promise<readonly ReplicaFacts[]>
): TakeKind {
  return (stream, { line: { key, id, hops } }) => {
    const isOrdinary = (value: unknown) => value === undefined || typeof value === 'string'
    if (!isOrdinary(key) || !isOrdinary(id) || (key === undefined && id === undefined)) {
      return void stream.reset(RESET.refused, `${selfId}: a key or an id was expected`)
    }
    if (typeof hops !== 'number' || !(hops >= 0 && hops <= MAX_STREAM_HOPS)) {
      return void stream.reset(RESET.refused, `${selfId}: the links of relays lead in a circle`)
    }
    const answer = new Answer(stream)
    stream.sink = answer
    const selection = { key: asText(key), id: asText(id) }
    remove(selection, hops).then(
      removed => answer.send(removed),
      (error: unknown) => stream.reset(RESET.broken, errorMessage(error))
    )
  }
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

class Answer implements StreamSink {
  constructor(private readonly stream: FramedStream) {}

  send(removed: readonly ReplicaFacts[]): void {
    let text = ''
    for (const [number, facts] of removed.entries()) {
      text += formatReplica(number, facts)
      if (text.length < MAX_MESSAGE_CHARS) continue
      this.stream.message(Buffer.from(text))
      text = ''
    }
    if (text !== '') this.stream.message(Buffer.from(text))
    this.stream.end()
  }

  onMessage(payload: Buffer): void {
    this.stream.consumed(payload.length)
  }

  onData(piece: Buffer): void {
    this.stream.consumed(piece.length)
  }

  onEnd(): void {}

  onReset(): void {}

  onDrain(): void {}
}
