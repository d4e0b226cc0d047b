const MAX_SHOWN_LENGTH = 80

/**
 * A text that somebody sent, made fit for a line of plain text: printable ASCII, and the beginning alone of what is
 * long. Nothing of it may add a second line or drive a terminal.
 */
export function showOnOneLine(text: string): string {
  const shown = text.length > MAX_SHOWN_LENGTH ? `${text.slice(0, MAX_SHOWN_LENGTH)}…` : text
  return shown.replace(/[^\x20-\x7e…]/g, '?')
}
