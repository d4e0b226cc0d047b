/** Pieces that are kept one by one: each takes more memory than a short one has bytes. */
const MAX_PIECES = 256

/** The bytes of a line that comes in pieces, until it is whole. Bytes of a long line are not copied for each piece. */
export class LinePieces {
  #pieces: Buffer[] = []
  #bytes = 0

  get byteLength(): number {
    return this.#bytes
  }

  push(piece: Buffer): void {
    if (piece.length === 0) return
    this.#pieces.push(piece)
    this.#bytes += piece.length
    if (this.#pieces.length === MAX_PIECES) this.#pieces = [Buffer.concat(this.#pieces)]
  }

  /** Takes all bytes, in one piece; afterwards there are none. */
  take(): Buffer {
    const [first] = this.#pieces
    const whole = first !== undefined && this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces)
    this.#pieces = []
    this.#bytes = 0
    return whole
  }
}
