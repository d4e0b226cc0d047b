/** A piece of fewer bytes is copied: as it came, it costs some 200 bytes besides, and keeps all that was read with it. */
const SMALL_BYTES = 4 * 1024
const FIRST_BLOCK_BYTES = 512
/** The most that is put together. */
export const MAX_BLOCK_BYTES = 16 * 1024

/** Whether a piece that has to wait should be copied into a block. */
export function isSmallPiece(piece: Buffer): boolean {
  return piece.length < SMALL_BYTES
}

/** Pieces that were copied behind one another. */
export class PieceBlock {
  #buffer: Buffer
  #length = 0

  /** @param first at most {@link MAX_BLOCK_BYTES} */
  constructor(first: Buffer) {
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(first.length, FIRST_BLOCK_BYTES))
    this.add(first)
  }

  get length(): number {
    return this.#length
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** @returns false where it would have more than {@link MAX_BLOCK_BYTES} */
  add(piece: Buffer): boolean {
    const length = this.#length + piece.length
    if (length > MAX_BLOCK_BYTES) return false
    if (length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(2 * length, MAX_BLOCK_BYTES))
      this.#buffer.copy(larger, 0, 0, this.#length)
      this.#buffer = larger
    }
    piece.copy(this.#buffer, this.#length)
    this.#length = length
    return true
  }
}

/** Pieces that wait, in order. However small they came, they take no more than a few times the memory of their bytes. */
export class GatheredPieces {
  #pieces: (Buffer | PieceBlock)[] = []
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  add(piece: Buffer): void {
    this.#bytes += piece.length
    if (!isSmallPiece(piece)) {
      this.#pieces.push(piece)
      return
    }
    const last = this.#pieces.at(-1)
    if (!(last instanceof PieceBlock && last.add(piece))) this.#pieces.push(new PieceBlock(piece))
  }

  /** Returns the pieces, which stay. */
  all(): Buffer[] {
    return this.#pieces.map(piece => (piece instanceof PieceBlock ? piece.bytes : piece))
  }

  take(): Buffer[] {
    const all = this.all()
    this.#pieces = []
    this.#bytes = 0
    return all
  }
}
