import { showBytes } from './table.js'
import { StatusLine, type TerminalStreams } from './terminal.js'

const WIDTH = 24

/** How far a transfer is, on a terminal alone. */
export class ProgressBar {
  readonly #line: StatusLine

  /**
   * @param totalBytes undefined when it is not known
   * @param streams those of the process, but for tests
   */
  constructor(
    private readonly label: string,
    private readonly totalBytes: number | undefined,
    streams?: TerminalStreams
  ) {
    this.#line = new StatusLine(streams)
  }

  readonly update = (bytes: number): void => {
    if (!this.#line.isLive) return
    const { totalBytes } = this
    if (totalBytes === undefined || totalBytes === 0) {
      this.#line.update(`${this.label} ${showBytes(bytes)}`)
      return
    }
    const share = Math.min(1, bytes / totalBytes)
    const bar = '#'.repeat(Math.round(share * WIDTH)).padEnd(WIDTH, '.')
    this.#line.update(`${this.label} [${bar}] ${Math.floor(share * 100)}% of ${showBytes(totalBytes)}`)
  }

  clear(): void {
    this.#line.clear()
  }
}
