const BEGIN = '\nExample:\n  '

/** An example for `addHelpText('after', …)` of a command. @param line the command line, as a user types it */
export function example(line: string): string {
  return `${BEGIN}${line}`
}

/** Finds the first command line in the text of {@link example}. */
export function exampleIn(text: string): string | undefined {
  return text.startsWith(BEGIN) ? text.slice(BEGIN.length).split('\n', 1)[0] : undefined
}
