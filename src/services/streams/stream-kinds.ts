import type { FramedStream } from '../../links/streams/framed-stream.js'
import type { TakeStream } from '../../links/streams/stream-connection.js'
import { RESET } from '../../links/streams/stream-protocol.js'
import { showOnOneLine } from '../../values/text/shown-text.js'
import { BadOpeningError, type Opening, parseOpening } from './open-line.js'

/** Takes a stream of one kind: sets its `sink` in this turn, or resets it. */
export type TakeKind = (stream: FramedStream, opening: Opening) => void

/** Gives each stream that the other side opens to the part of the program that knows its kind. */
export class StreamKinds {
  readonly #takers = new Map<string, TakeKind>()

  /** @param name of this process, for refusals: a relay's or node's id, a client's key */
  constructor(private readonly name: string) {}

  /** Set before the first link opens. */
  on(kind: string, take: TakeKind): this {
    this.#takers.set(kind, take)
    return this
  }

  /** For the stream connections of links. */
  readonly take: TakeStream = (stream, payload) => {
    let opening: Opening
    try {
      opening = parseOpening(payload)
    } catch (error) {
      if (!(error instanceof BadOpeningError)) throw error
      stream.reset(RESET.refused, `${this.name}: a stream that cannot be read: ${error.message}`)
      return
    }
    const { kind } = opening.line
    const taker = this.#takers.get(kind)
    if (taker !== undefined) taker(stream, opening)
    else stream.reset(RESET.refused, `${this.name}: streams of the kind ${showOnOneLine(kind)} are not taken here`)
  }
}
