/** The classes of characters of RFC 9110 and RFC 9112, as a table: one look-up for each byte of a head. */

export const TAB = 0x09
export const LF = 0x0a
export const CR = 0x0d
export const SPACE = 0x20
export const COLON = 0x3a

const TOKEN = 1
const FIELD = 2
const TARGET = 4
const HOST = 8

const CLASSES = makeClasses()

function makeClasses(): Uint8Array {
  const classes = new Uint8Array(256)
  const add = (characters: string, bit: number) => {
    for (const character of characters) {
      const code = character.charCodeAt(0)
      classes[code] = (classes[code] ?? 0) | bit
    }
  }
  const alphanumeric = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
  add(`${alphanumeric}!#$%&'*+-.^_\`|~`, TOKEN)
  add(`${alphanumeric}-._~%!$&'()*+,;=:[]`, HOST)
  const visible = Array.from({ length: 0x7f - 0x21 }, (_, at) => String.fromCharCode(0x21 + at)).join('')
  const above = Array.from({ length: 0x80 }, (_, at) => String.fromCharCode(0x80 + at)).join('')
  add(`\t ${visible}${above}`, FIELD)
  // Some characters here must be escaped by RFC 3986. Programs send them as they are, and services take them.
  add(`${visible.replace('#', '')}${above}`, TARGET)
  return classes
}

/** Whether a character may stand in a method or in the name of a header. */
export function isTokenCharacter(code: number): boolean {
  return ((CLASSES[code] ?? 0) & TOKEN) !== 0
}

/** Whether a character may stand in the value of a header: all but controls; tabs may. */
export function isFieldCharacter(code: number): boolean {
  return ((CLASSES[code] ?? 0) & FIELD) !== 0
}

/** Whether a character may stand in a request target: no blank, no control, no `#`. */
export function isTargetCharacter(code: number): boolean {
  return ((CLASSES[code] ?? 0) & TARGET) !== 0
}

/** Whether a character may stand in a host and port. */
export function isHostCharacter(code: number): boolean {
  return ((CLASSES[code] ?? 0) & HOST) !== 0
}

/** The index of the first character from `start` on that stands in no token. */
export function endOfToken(text: string, start: number): number {
  let at = start
  while (isTokenCharacter(text.charCodeAt(at))) at += 1
  return at
}

/** A character for a message: `0x0a`. */
export function describeCharacter(code: number): string {
  return Number.isNaN(code) ? 'the end' : `the character 0x${code.toString(16).padStart(2, '0')}`
}
