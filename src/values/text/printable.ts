// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/g
// Colours (SGR) are matched first, so that they can be told from the rest.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const COLOUR_OR_CONTROL = /\x1b\[[0-9;]{0,40}m|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g

/**
 * The text as one line in which nothing can move the cursor: what a relay or a node says is not to be trusted with a
 * terminal.
 */
export function printable(text: string): string {
  return text.replace(CONTROL, '?')
}

/**
 * The {@link printable} form of a text that keeps line feeds: for messages of several lines, which may quote what a
 * file or a relay says.
 */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

/** The {@link printable} form of a text that keeps colours and line feeds. */
export function printableOutput(text: string): string {
  return text.replace(COLOUR_OR_CONTROL, match => (match.length > 1 ? match : '?'))
}
