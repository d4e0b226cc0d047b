// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/g
// Colours (SGR) are matched first, so that they can be told from the rest.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const COLOUR_OR_CONTROL = /\x1b\[[0-9;]{0,40}m|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g
const CLEAR_LINE = '\r\x1b[2K'

/** One line in which nothing can move the cursor: what a relay or a node says is not to be trusted with a terminal. */
export function printable(text: string): string {
  return text.replace(CONTROL, '?')
}

/** As {@link printable}, but colours and line feeds pass. */
export function printableOutput(text: string): string {
  return text.replace(COLOUR_OR_CONTROL, match => (match.length > 1 ? match : '?'))
}

/**
 * Lines on standard error with one at the bottom that changes. Where standard error is no terminal, the changing line
 * is not shown at all.
 */
export class StatusLine {
  #shown = ''
  #shownAtMs = 0
  readonly isLive = process.stderr.isTTY === true

  /** Shows `text`, cut to the width of the terminal; at most ten times a second unless `isLast`. */
  update(text: string, isLast = false): void {
    const now = Date.now()
    if (!this.isLive || (!isLast && now - this.#shownAtMs < 100)) return
    this.#shownAtMs = now
    this.#shown = text.slice(0, Math.max(10, (process.stderr.columns ?? 80) - 1))
    process.stderr.write(CLEAR_LINE + this.#shown)
  }

  /** Prints a line that stays, above the changing one. */
  print(line: string): void {
    this.#aside(() => process.stderr.write(`${line}\n`))
  }

  /** Writes to standard output, above the changing line. Resolves when more may be written. */
  async write(text: string): Promise<void> {
    let isRoomLeft = true
    this.#aside(() => {
      isRoomLeft = process.stdout.write(text)
    })
    if (!isRoomLeft) await new Promise(resolve => process.stdout.once('drain', resolve))
  }

  /** Takes the changing line away. */
  clear(): void {
    if (this.isLive && this.#shown !== '') process.stderr.write(CLEAR_LINE)
    this.#shown = ''
  }

  #aside(action: () => void): void {
    const shown = this.#shown
    this.clear()
    action()
    if (shown !== '') this.update(shown, true)
  }
}
