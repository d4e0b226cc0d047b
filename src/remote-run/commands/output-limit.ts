/** The first pieces of a node's output, which count by their bytes alone. */
const FREE_PIECES = 16_384
/** The least that a further piece counts for: its event in the log of the run is longer than that, whatever it brings. */
const MIN_PIECE_BYTES = 64

/** Lets so many bytes of output pass, in whole lines, and drops the rest. */
export class OutputLimit {
  #leftBytes: number
  #pieces = 0
  #exceeded = false

  /** @param maxBytes from `remote_run.max_output` */
  constructor(readonly maxBytes: number) {
    this.#leftBytes = maxBytes
  }

  /**
   * @param text whole lines
   * @returns the lines that still fit, and whether this was the call that went beyond (true once)
   */
  take(text: string): { readonly kept: string; readonly justExceeded: boolean } {
    if (this.#exceeded) return { kept: '', justExceeded: false }
    this.#pieces += 1
    const bytes = Buffer.byteLength(text)
    const counted = this.#pieces > FREE_PIECES ? Math.max(bytes, MIN_PIECE_BYTES) : bytes
    if (counted <= this.#leftBytes) {
      this.#leftBytes -= counted
      return { kept: text, justExceeded: false }
    }
    this.#exceeded = true
    const fitting = Buffer.from(text).subarray(0, this.#leftBytes)
    return { kept: fitting.toString('utf8', 0, fitting.lastIndexOf('\n') + 1), justExceeded: true }
  }
}

/** The message for output that was dropped. */
export function outputDropped(maxBytes: number): string {
  return `output beyond ${maxBytes} bytes was dropped; see max_output`
}
