import { BadMessageError } from './bad-message-error.js'
import { type BodySink, ChunkedReader } from './chunked-reader.js'
import { NO_FIELDS } from './fields.js'
import type { BodyFraming } from './framing.js'

/**
 * Reads one body. Give it the bytes behind the head at once, even if there are none: a body without bytes ends then.
 */
export class MessageBodyReader {
  readonly #chunked: ChunkedReader | undefined
  #remaining: number
  #isEnded = false

  constructor(
    framing: BodyFraming,
    private readonly sink: BodySink
  ) {
    this.#chunked = framing.kind === 'chunked' ? new ChunkedReader(sink) : undefined
    this.#remaining = framing.kind === 'length' ? framing.bytes : framing.kind === 'none' ? 0 : Number.POSITIVE_INFINITY
  }

  /** Whether the sink was told of the end. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  /**
   * @returns the bytes behind the body once it has ended, maybe none of them; undefined while it goes on
   * @throws {BadMessageError}
   */
  read(chunk: Buffer): Buffer | undefined {
    if (this.#isEnded) return chunk
    if (this.#chunked !== undefined) {
      const rest = this.#chunked.read(chunk)
      this.#isEnded = rest !== undefined
      return rest
    }
    const length = Math.min(this.#remaining, chunk.length)
    this.#remaining -= length
    if (length > 0) this.sink.onData(length === chunk.length ? chunk : chunk.subarray(0, length))
    if (this.#remaining > 0) return undefined
    this.#end()
    return chunk.subarray(length)
  }

  /**
   * The connection has ended in order. That ends a body that lasts until then; a connection that broke must not be
   * told of here.
   * @throws {BadMessageError} `incomplete`: the body has not ended
   */
  endOfInput(): void {
    if (this.#isEnded) return
    if (this.#remaining !== Number.POSITIVE_INFINITY || this.#chunked !== undefined) {
      throw new BadMessageError('incomplete', 'the connection ended before the body did')
    }
    this.#end()
  }

  #end(): void {
    this.#isEnded = true
    this.sink.onEnd(NO_FIELDS)
  }
}
