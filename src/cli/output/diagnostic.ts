import { printableLines } from '../../values/text/printable.js'

/** Prints a line on standard error, behind the name of the program. */
export function printDiagnostic(line: string): void {
  process.stderr.write(`treeline: ${printableLines(line)}\n`)
}
