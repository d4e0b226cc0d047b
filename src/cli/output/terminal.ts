const CLEAR_LINE = '\r\x1b[2K'

/** The time between two changes of the line: no one can read faster ones. */
const REFRESH_MS = 100

/** The members of a stream that a status line uses. */
export type TerminalStream = Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'write' | 'once'>

/** The streams to which a command writes. */
export interface TerminalStreams {
  readonly stdout: TerminalStream
  readonly stderr: TerminalStream
}

/**
 * Lines on standard error with one at the bottom that changes. Where standard error is no terminal, the changing line
 * is not shown at all.
 */
export class StatusLine {
  #text = ''
  #isShown = false
  #timer: NodeJS.Timeout | undefined

  /** @param streams those of the process, but for tests */
  constructor(private readonly streams: TerminalStreams = process) {}

  get isLive(): boolean {
    return this.streams.stderr.isTTY === true
  }

  /** Shows `text`, cut to the width of the terminal; at most ten times a second. */
  update(text: string): void {
    this.#text = text
    if (!this.isLive || this.#timer !== undefined) return
    this.#show()
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#isShown) this.#show()
    }, REFRESH_MS)
    this.#timer.unref()
  }

  /** Prints a line that stays, above the changing one. */
  print(line: string): void {
    this.#aside(() => this.streams.stderr.write(`${line}\n`))
  }

  /** Writes to standard output, above the changing line. Resolves when more may be written. */
  async write(text: string): Promise<void> {
    let isRoomLeft = true
    this.#aside(() => {
      isRoomLeft = this.streams.stdout.write(text)
    })
    if (!isRoomLeft) await new Promise(resolve => this.streams.stdout.once('drain', resolve))
  }

  /** Takes the changing line away. */
  clear(): void {
    if (this.#isShown) this.streams.stderr.write(CLEAR_LINE)
    this.#isShown = false
  }

  #aside(action: () => void): void {
    const wasShown = this.#isShown
    this.clear()
    action()
    if (wasShown) this.#show()
  }

  #show(): void {
    const { stderr } = this.streams
    const width = stderr.columns || 80 // 0 on some terminals
    stderr.write(CLEAR_LINE + this.#text.slice(0, width - 1))
    this.#isShown = true
  }
}
