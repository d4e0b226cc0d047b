/** Texts by name, such as `description`, that services show to people. */
export type Annotations = Readonly<Record<string, string>>

const MAX_ANNOTATIONS = 32
const MAX_NAME_CHARS = 64
/** The length of all names and values together. */
const MAX_CHARS = 4 * 1024
const CONTROL = /\p{C}/u

/** The rule for annotations, for messages. */
export const ANNOTATIONS_RULE = `at most ${MAX_ANNOTATIONS} texts on one line, with names of at most ${MAX_NAME_CHARS} characters, and ${MAX_CHARS} characters in all`

/** @returns annotations of a value from elsewhere; undefined where it has too many of them, or others than texts */
export function parseAnnotations(value: unknown): Annotations | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const entries = Object.entries(value)
  let chars = 0
  for (const [name, text] of entries) {
    if (typeof text !== 'string' || name.length > MAX_NAME_CHARS || CONTROL.test(name) || CONTROL.test(text)) {
      return undefined
    }
    chars += name.length + text.length
  }
  return entries.length > MAX_ANNOTATIONS || chars > MAX_CHARS ? undefined : Object.fromEntries(entries)
}
