/** A text of up to so many characters is parsed whatever is in it. */
const SHORT_JSON_LENGTH = 16 * 1024
/**
 * The parts that a longer text may have, beside one for each 64 characters: far more than any message of ours has that
 * is long for its output or its certificates.
 */
export const MAX_JSON_PARTS = 2_048
const CHARACTERS_OF_A_PART = 64

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const BRACKET = 0x5b
const BACKSLASH = 0x5c
const BRACE = 0x7b

/** The value of a text; undefined when it is no JSON, or has {@link hasTooManyParts too many parts}. */
export function parseJson(text: string): unknown {
  if (hasTooManyParts(text)) return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/**
 * Whether a long text would be so many objects, arrays and members that parsing it takes a hundred times as long as
 * other texts of its length: a parser cannot let others have their turn. Looks no further than the first part too many,
 * and passes over strings.
 */
export function hasTooManyParts(text: string): boolean {
  if (text.length <= SHORT_JSON_LENGTH) return false
  let left = MAX_JSON_PARTS + text.length / CHARACTERS_OF_A_PART
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = endOfString(text, at + 1)
    } else if (code === COMMA || code === COLON || code === BRACKET || code === BRACE) {
      left -= 1
      if (left < 0) return true
    }
  }
  return false
}

/** @returns the place of the quote that ends a string; the end of the text where none does */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start); end !== -1; end = text.indexOf('"', end + 1)) {
    let at = end
    while (at > start && text.charCodeAt(at - 1) === BACKSLASH) at -= 1
    if ((end - at) % 2 === 0) return end
  }
  return text.length
}

/** The members of a JSON object; undefined for any other value. */
export function membersOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
}
