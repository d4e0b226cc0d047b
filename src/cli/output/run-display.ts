import type { RunEvent } from '../../values/runs/run-event.js'
import { printable, printableOutput } from '../../values/text/printable.js'
import type { RunTally } from './run-tally.js'
import { StatusLine, type TerminalStreams } from './terminal.js'

/**
 * Shows a run as it goes: agents' output on standard output, each line with its node; a line per failure on standard
 * error, and on a terminal one below that counts. As JSON: the events as they come.
 */
export class RunDisplay {
  readonly #status: StatusLine

  /** @param streams those of the process, but for tests */
  constructor(
    private readonly tally: RunTally,
    private readonly isJson: boolean,
    private readonly streams: TerminalStreams = process
  ) {
    this.#status = new StatusLine(streams)
  }

  /** Counts the event and shows it. Resolves when there is room for more. */
  async show(event: RunEvent): Promise<void> {
    const failure = this.tally.take(event)
    if (this.isJson) return this.#status.write(`${JSON.stringify(event)}\n`)
    if (event.event === 'output' && event.data !== undefined) await this.#showOutput(event.node ?? '?', event.data)
    if (failure !== undefined) this.#status.print(printable(failure))
    this.#status.update(printable(this.tally.describe()))
  }

  /** A failure that no event told of. */
  fail(message: string): void {
    const line = this.tally.fail(message)
    if (!this.isJson) this.#status.print(line)
    else this.streams.stdout.write(`${JSON.stringify({ event: 'error', message })}\n`)
  }

  /** @param notStarted nodes that were left out */
  finish(notStarted: number): void {
    this.#status.clear()
    if (this.isJson) {
      const summary = {
        event: 'summary',
        success: this.tally.isSuccess && notStarted === 0,
        outcomes: this.tally.counts()
      }
      this.streams.stdout.write(`${JSON.stringify({ ...summary, not_started: notStarted })}\n`)
    } else {
      this.streams.stdout.write(`${this.tally.describe()}${notStarted === 0 ? '' : `, ${notStarted} not started`}\n`)
    }
  }

  async #showOutput(node: string, data: string): Promise<void> {
    const lines = data.endsWith('\n') ? data.slice(0, -1) : data
    const prefix = `${printable(node)}: `
    const text = lines.split('\n').map(line => `${prefix}${this.streams.stdout.isTTY ? printableOutput(line) : line}\n`)
    await this.#status.write(text.join(''))
  }
}
