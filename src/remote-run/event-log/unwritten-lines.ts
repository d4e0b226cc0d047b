/** Characters of events that wait for the disk; beyond that, the records of the nodes have to do. */
const MAX_UNWRITTEN_CHARS = 1024 * 1024

/** Characters of one try, so that little is made ready for a disk that goes on refusing. */
const CHARS_PER_TRY = 64 * 1024

/** The begin of a line with output, which a full disk may cost. */
const OUTPUT_LINE = /^\{"seq":\d+,"event":"output"/

/** The lines of a log, but output, that a disk has not taken: the oldest first. */
export class UnwrittenLines {
  #lines: string[] = []
  #chars = 0
  #isCut = false

  get lines(): readonly string[] {
    return this.#lines
  }

  /** Whether too many came: then the log ends with these, and readers take the rest from the records. */
  get isCut(): boolean {
    return this.#isCut
  }

  add(lines: readonly string[]): void {
    for (const line of lines) {
      if (OUTPUT_LINE.test(line)) continue
      this.#isCut ||= this.#chars + line.length > MAX_UNWRITTEN_CHARS
      if (this.#isCut) return
      this.#lines.push(line)
      this.#chars += line.length
    }
  }

  /** The oldest lines, as many as are written in one try. */
  first(): readonly string[] {
    let chars = 0
    const end = this.#lines.findIndex(line => {
      chars += line.length
      return chars > CHARS_PER_TRY
    })
    return end === -1 ? this.#lines.slice() : this.#lines.slice(0, Math.max(1, end))
  }

  /** Forgets the oldest `count` lines, which have been written. */
  removeFirst(count: number): void {
    for (const { length } of this.#lines.splice(0, count)) this.#chars -= length
  }
}
