/** A line longer than this is cut into several, in bytes. */
export const MAX_LINE_BYTES = 64 * 1024

/** Pieces of a line that are kept one by one. */
const MAX_GATHERED = 256

const LINE_FEED = 0x0a

/**
 * Makes whole lines of text of a stream's bytes. The lines do not depend on how the bytes were chunked: a character
 * is never torn, and a line beyond {@link MAX_LINE_BYTES} is cut there (at a character's edge).
 */
export class LineSplitter {
  #pending: Buffer[] = []
  #pendingBytes = 0

  /** @returns the lines that are complete now, each with its line feed; often empty */
  push(chunk: Buffer): string {
    this.#pending.push(chunk)
    this.#pendingBytes += chunk.length
    if (this.#pending.length === MAX_GATHERED) this.#pending = [Buffer.concat(this.#pending)]
    if (this.#pendingBytes <= MAX_LINE_BYTES && !chunk.includes(LINE_FEED)) return ''

    const [first] = this.#pending
    const bytes = first !== undefined && this.#pending.length === 1 ? first : Buffer.concat(this.#pending)
    const { text, restFrom } = takeLines(bytes)
    const rest = bytes.subarray(restFrom)
    this.#pending = rest.length === 0 ? [] : [rest]
    this.#pendingBytes = rest.length
    return text
  }

  /** @returns what follows the last line feed, as it is; empty when there is nothing */
  end(): string {
    const rest = Buffer.concat(this.#pending).toString('utf8')
    this.#pending = []
    this.#pendingBytes = 0
    return rest
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
