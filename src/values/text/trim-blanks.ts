const SPACE = 0x20
const TAB = 0x09

/**
 * A text without the spaces and tabs around it. A regular expression that is to end at the last character (`[ \t]+$`) begins anew
 * at each of a million blanks within a text, and takes minutes.
 */
export function trimBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text.charCodeAt(start))) start += 1
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB
}
