import { LinePieces } from './line-pieces.js'

/** A line longer than this is cut into several, in bytes. */
export const MAX_LINE_BYTES = 64 * 1024

const LINE_FEED = 0x0a

/**
 * Makes whole lines of text of a stream's bytes. The lines do not depend on how the bytes were chunked: a character
 * is never torn, and a line beyond {@link MAX_LINE_BYTES} is cut there (at a character's edge).
 */
export class LineSplitter {
  readonly #pending = new LinePieces()

  /** @returns the lines that are complete now, each with its line feed; often empty */
  push(chunk: Buffer): string {
    this.#pending.push(chunk)
    if (this.#pending.byteLength <= MAX_LINE_BYTES && !chunk.includes(LINE_FEED)) return ''
    const bytes = this.#pending.take()
    const { text, restFrom } = takeLines(bytes)
    this.#pending.push(bytes.subarray(restFrom))
    return text
  }

  /** @returns what follows the last line feed, as it is; empty when there is nothing */
  end(): string {
    return this.#pending.take().toString('utf8')
  }
}

function takeLines(bytes: Buffer): { text: string; restFrom: number } {
  let text = ''
  let taken = 0
  let lineStart = 0
  for (;;) {
    const lineFeed = bytes.indexOf(LINE_FEED, lineStart)
    const lineEnd = lineFeed === -1 ? bytes.length : lineFeed
    if (lineEnd - lineStart > MAX_LINE_BYTES) {
      const cut = characterEdge(bytes, lineStart + MAX_LINE_BYTES)
      text += `${bytes.toString('utf8', taken, cut)}\n`
      taken = lineStart = cut
    } else if (lineFeed === -1) {
      return { text: text + bytes.toString('utf8', taken, lineStart), restFrom: lineStart }
    } else {
      lineStart = lineFeed + 1
    }
  }
}

/** The edge of a UTF-8 character at or up to 3 bytes before `at`; `at` itself where the bytes are no UTF-8. */
function characterEdge(bytes: Buffer, at: number): number {
  for (let edge = at; edge > at - 4; edge--) {
    if (((bytes[edge] ?? 0) & 0xc0) !== 0x80) return edge
  }
  return at
}
