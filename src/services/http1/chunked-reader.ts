import { BadMessageError, malformed } from './bad-message-error.js'
import { CR, describeCharacter, isFieldCharacter, LF } from './characters.js'
import { type Fields, NO_FIELDS } from './fields.js'
import { HeadReader } from './head-reader.js'
import { parseTrailers } from './trailers.js'

/** The receiver of a body. */
export interface BodySink {
  /** @param piece never empty; a part of the chunk that was read, not a copy */
  onData(piece: Buffer): void
  onEnd(trailers: Fields): void
}

/** The bound for the extensions of one chunk, which are dropped. */
export const MAX_EXTENSION_BYTES = 4 * 1024

/** 2^53 - 1 has so many hexadecimal digits. */
const MAX_SIZE_DIGITS = 14
const SEMICOLON = 0x3b

/** Extensions as RFC 9112, 7.1.1 has them, without the blanks that it forbids to send. */
const EXTENSIONS =
  /^(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*$/

type State =
  | 'size'
  | 'extension'
  | 'size-lf'
  | 'data'
  | 'data-cr'
  | 'data-lf'
  | 'last'
  | 'last-lf'
  | 'trailers'
  | 'ended'

/** Reads a body in chunks, and the trailers behind it (RFC 9112, 7.1). */
export class ChunkedReader {
  #state: State = 'size'
  #size = 0
  #digits = 0
  #extension = ''
  #trailers: HeadReader | undefined

  constructor(private readonly sink: BodySink) {}

  /**
   * @returns the bytes behind the body once it has ended
   * @throws {BadMessageError}
   */
  read(chunk: Buffer): Buffer | undefined {
    let at = 0
    while (at < chunk.length) {
      if (this.#state === 'data') {
        at += this.#readData(chunk, at)
      } else if (this.#state === 'trailers') {
        return this.#readTrailers(chunk.subarray(at))
      } else if (this.#state === 'last' && chunk[at] !== CR) {
        this.#state = 'trailers'
      } else {
        this.#state = this.#next(chunk[at] ?? 0)
        at += 1
        if (this.#state === 'ended') {
          this.sink.onEnd(NO_FIELDS)
          return chunk.subarray(at)
        }
      }
    }
    return undefined
  }

  /** @returns the number of bytes read */
  #readData(chunk: Buffer, at: number): number {
    const length = Math.min(this.#size, chunk.length - at)
    this.#size -= length
    if (this.#size === 0) this.#state = 'data-cr'
    this.sink.onData(length === chunk.length ? chunk : chunk.subarray(at, at + length))
    return length
  }

  #readTrailers(bytes: Buffer): Buffer | undefined {
    this.#trailers ??= new HeadReader('trailers')
    const read = this.#trailers.read(bytes)
    if (read === undefined) return undefined
    const trailers = parseTrailers(read.head)
    this.#state = 'ended'
    this.sink.onEnd(trailers)
    return read.rest
  }

  /** The state behind a byte that is no data: of sizes, extensions and ends of lines. */
  #next(code: number): State {
    switch (this.#state) {
      case 'size':
        return this.#readSize(code)
      case 'extension':
        return this.#readExtension(code)
      case 'size-lf':
        return expect(code, LF, this.#size === 0 ? 'last' : 'data')
      case 'data-cr':
        return expect(code, CR, 'data-lf')
      case 'data-lf':
        this.#digits = 0
        return expect(code, LF, 'size')
      case 'last':
        return expect(code, CR, 'last-lf')
      default:
        return expect(code, LF, 'ended')
    }
  }

  #readSize(code: number): State {
    const digit = hexadecimalDigit(code)
    if (digit >= 0) {
      if (this.#digits === MAX_SIZE_DIGITS) throw malformed(`a chunk's size has over ${MAX_SIZE_DIGITS} digits`)
      this.#digits += 1
      this.#size = 16 * this.#size + digit
      return 'size'
    }
    if (this.#digits === 0 || (code !== CR && code !== SEMICOLON)) {
      throw malformed(`a chunk's size has ${describeCharacter(code)} in it`)
    }
    if (!Number.isSafeInteger(this.#size)) throw malformed("a chunk's size is 2^53 or more")
    if (code === CR) return 'size-lf'
    this.#extension = ';'
    return 'extension'
  }

  #readExtension(code: number): State {
    if (isFieldCharacter(code)) {
      if (this.#extension.length === MAX_EXTENSION_BYTES) {
        throw new BadMessageError('too-large', `the extensions of a chunk are over ${MAX_EXTENSION_BYTES} bytes`)
      }
      this.#extension += String.fromCharCode(code)
      return 'extension'
    }
    if (code !== CR) throw malformed(`the extensions of a chunk have ${describeCharacter(code)} in them`)
    if (!EXTENSIONS.test(this.#extension)) throw malformed('the extensions of a chunk are no list of names and values')
    this.#extension = ''
    return 'size-lf'
  }
}

function expect(code: number, wanted: number, next: State): State {
  if (code === wanted) return next
  throw malformed(`the end of a line of a chunked body has ${describeCharacter(code)} in it`)
}

function hexadecimalDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
