import type { TerminalStream } from '../../src/cli/output/terminal.js'

/** The sequence that takes the changing line away. */
export const CLEAR = '\r\x1b[2K'

/** The output of a command, as text and as a terminal shows it. */
export class FakeStream implements TerminalStream {
  text = ''
  columns = 80
  readonly once = process.stdout.once

  constructor(readonly isTTY: boolean) {}

  write(chunk: unknown): boolean {
    this.text += String(chunk)
    return true
  }

  /** The lines that a terminal shows now: what was cleared is gone. */
  get screen(): string[] {
    return this.text.split('\n').map(line => line.split(CLEAR).at(-1) ?? '')
  }
}
