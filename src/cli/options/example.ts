/** An example for `addHelpText('after', …)` of a command. @param line the command line, as a user types it */
export function example(line: string): string {
  return `\nExample:\n  ${line}`
}
