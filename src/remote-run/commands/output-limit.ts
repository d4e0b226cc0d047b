/** Lets so many bytes of output pass, in whole lines, and drops the rest. */
export class OutputLimit {
  #leftBytes: number
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
    const bytes = Buffer.byteLength(text)
    if (bytes <= this.#leftBytes) {
      this.#leftBytes -= bytes
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
