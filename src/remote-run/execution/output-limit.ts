/** The first pieces of a node's output, which count by their bytes alone. */
const FREE_PIECES = 16_384
/** The least that a further piece counts for: its event in the log of the run is longer than that, whatever it brings. */
const MIN_PIECE_BYTES = 64

/** Lets so much output pass, in whole lines, and drops the rest. */
export class OutputLimit {
  readonly #maxBytes: number
  readonly #freePieces: number
  /** The bytes that may still come; a small piece takes more of them than it has. */
  #leftBytes: number
  #bytes = 0
  #pieces = 0
  #exceeded = false

  /**
   * @param maxNodeBytes from `remote_run.max_output`
   * @param nodeCount the nodes whose output it is, where nobody can tell them apart
   */
  constructor(maxNodeBytes: number, nodeCount = 1) {
    this.#maxBytes = maxNodeBytes * nodeCount
    this.#freePieces = FREE_PIECES * nodeCount
    this.#leftBytes = this.#maxBytes
  }

  /**
   * @param text whole lines
   * @returns the lines that still fit, and, in the call that went beyond, the message about what is dropped
   */
  take(text: string): { readonly kept: string; readonly dropped?: string } {
    if (this.#exceeded) return { kept: '' }
    this.#pieces += 1
    const bytes = Buffer.byteLength(text)
    this.#bytes += bytes
    const counted = this.#pieces > this.#freePieces ? Math.max(bytes, MIN_PIECE_BYTES) : bytes
    if (counted <= this.#leftBytes) {
      this.#leftBytes -= counted
      return { kept: text }
    }
    this.#exceeded = true
    const fitting = Buffer.from(text).subarray(0, this.#leftBytes)
    return { kept: fitting.toString('utf8', 0, fitting.lastIndexOf('\n') + 1), dropped: this.#droppedMessage() }
  }

  #droppedMessage(): string {
    if (this.#bytes > this.#maxBytes) return `output beyond ${this.#maxBytes} bytes was dropped; see max_output`
    return `output beyond ${this.#pieces - 1} small pieces was dropped; print more lines at once, or see max_output`
  }
}
