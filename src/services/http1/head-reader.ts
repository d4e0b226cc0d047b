import { BadMessageError, malformed } from './bad-message-error.js'
import { CR, describeCharacter, isFieldCharacter, LF } from './characters.js'

/** The bound for a head with its empty line, and for the trailers of a message. */
export const MAX_HEAD_BYTES = 64 * 1024

/** The part of a message that a {@link HeadReader} reads. */
export type HeadKind = 'request' | 'response' | 'trailers'

export interface ReadHead {
  /** The whole head with the empty line at its end, one character a byte (latin1); its syntax is still unchecked. */
  readonly head: string
  /** The bytes that came behind it; may be empty. A part of the chunk, not a copy. */
  readonly rest: Buffer
}

const HEAD_END = Buffer.from('\r\n\r\n')
const FIRST_BYTES = 1024

/**
 * Finds the ends of heads, one after another. Before a request an empty line is skipped, but only one (RFC 9112, 2.2).
 * A head that has begun wrong is refused before it is complete, so that nobody waits for an empty line that never
 * comes. The result does not depend on the pieces in which the bytes come.
 */
export class HeadReader {
  /** The bytes of a head that came in more than one piece. */
  #held = Buffer.alloc(0)
  #length = 0
  /** So many of them are known to be harmless. */
  #checked = 0
  #emptyLine: 'possible' | 'begun' | 'past'

  /** @param limitBytes for a head with its empty line */
  constructor(
    private readonly kind: HeadKind,
    private readonly limitBytes = MAX_HEAD_BYTES
  ) {
    this.#emptyLine = kind === 'request' ? 'possible' : 'past'
  }

  /** Whether some bytes of a head have come, and others have not. */
  get isWithin(): boolean {
    return this.#length > 0
  }

  /**
   * @returns undefined while the head is incomplete. The reader is then ready for the next one
   * @throws {BadMessageError} `malformed` or `too-large`
   */
  read(chunk: Buffer): ReadHead | undefined {
    const bytes = this.#emptyLine === 'past' ? chunk : this.#skipEmptyLine(chunk)
    if (bytes.length === 0) return undefined
    if (this.#length === 0) {
      const end = bytes.indexOf(HEAD_END) + HEAD_END.length
      if (end >= HEAD_END.length && end <= this.limitBytes) return this.#take(bytes, end, bytes, end)
    }
    return this.#readOn(bytes)
  }

  #skipEmptyLine(chunk: Buffer): Buffer {
    let at = 0
    if (this.#emptyLine === 'possible' && chunk[0] === CR) {
      this.#emptyLine = 'begun'
      at = 1
    }
    if (at === chunk.length) return chunk.subarray(at)
    if (this.#emptyLine === 'begun') {
      if (chunk[at] !== LF) throw malformed('the message begins with a CR')
      at += 1
    }
    this.#emptyLine = 'past'
    return at === 0 ? chunk : chunk.subarray(at)
  }

  #readOn(bytes: Buffer): ReadHead | undefined {
    const before = this.#length
    this.#hold(bytes)
    const seen = this.#held.subarray(0, this.#length)
    const end = seen.indexOf(HEAD_END, Math.max(0, before - HEAD_END.length + 1)) + HEAD_END.length
    if (end >= HEAD_END.length) return this.#take(seen, end, bytes, end - before)
    this.#check()
    if (this.#length === this.limitBytes) {
      const what = this.kind === 'trailers' ? 'the trailers are' : `the head of the ${this.kind} is`
      throw new BadMessageError('too-large', `${what} over ${this.limitBytes} bytes`)
    }
    return undefined
  }

  #hold(bytes: Buffer): void {
    const length = Math.min(this.#length + bytes.length, this.limitBytes)
    if (length > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.min(Math.max(2 * length, FIRST_BYTES), this.limitBytes))
      this.#held.copy(larger, 0, 0, this.#length)
      this.#held = larger
    }
    bytes.copy(this.#held, this.#length, 0, length - this.#length)
    this.#length = length
  }

  /** Looks for what makes a head malformed wherever it stands: controls, CR and LF apart from each other. */
  #check(): void {
    const bytes = this.#held
    if (bytes[0] === CR) throw malformed('the message begins with an empty line')
    let at = this.#checked
    for (; at < this.#length; at += 1) {
      const code = bytes[at] ?? 0
      if (isFieldCharacter(code)) continue
      if (code !== CR) throw malformed(`the head has ${describeCharacter(code)} in it`)
      if (at + 1 === this.#length) break
      at += 1
      if (bytes[at] !== LF) throw malformed('the head has a CR without LF in it')
    }
    this.#checked = at
  }

  #take(source: Buffer, end: number, bytes: Buffer, restStart: number): ReadHead {
    this.#held = NOTHING
    this.#length = 0
    this.#checked = 0
    this.#emptyLine = this.kind === 'request' ? 'possible' : 'past'
    return { head: source.toString('latin1', 0, end), rest: bytes.subarray(restStart) }
  }
}

const NOTHING = Buffer.alloc(0)
