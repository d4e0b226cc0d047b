import { BadMessageError, malformed } from './bad-message-error.js'
import { COLON, CR, describeCharacter, endOfToken, isFieldCharacter, LF, SPACE, TAB } from './characters.js'

/** Header fields as they came: name, value, name, value…; one character a byte (latin1), values without blanks around them. */
export type Fields = readonly string[]

/** More header fields than any program sends; 64 KiB bound them as well. */
export const MAX_HEADER_FIELDS = 200

export const NO_FIELDS: Fields = []

/**
 * Reads the field lines of a block that ends with an empty line.
 * @param start where the first field line begins
 * @throws {BadMessageError}
 */
export function parseFields(block: string, start: number): Fields {
  const fields: string[] = []
  const end = block.length - 2
  let at = start
  while (at < end) {
    const nameEnd = endOfToken(block, at)
    if (nameEnd === at || block.charCodeAt(nameEnd) !== COLON) throw badName(block, at, nameEnd, fields.length / 2)
    let from = nameEnd + 1
    while (isBlank(block.charCodeAt(from))) from += 1
    let to = from
    while (isFieldCharacter(block.charCodeAt(to))) to += 1
    if (block.charCodeAt(to) !== CR || block.charCodeAt(to + 1) !== LF) throw badValue(block, at, nameEnd, to)
    const next = to + 2
    while (to > from && isBlank(block.charCodeAt(to - 1))) to -= 1
    const name = block.slice(at, nameEnd)
    if (to + 2 < next) checkBlanks(name, block.slice(to, next))
    fields.push(name, block.slice(from, to))
    at = next
  }
  if (at !== end || block.charCodeAt(at) !== CR || block.charCodeAt(at + 1) !== LF) {
    throw malformed('the header fields do not end with an empty line')
  }
  // Not earlier: a malformed line behind them makes the message malformed, in however many pieces it comes.
  if (fields.length > 2 * MAX_HEADER_FIELDS) {
    throw new BadMessageError(
      'too-large',
      `there are ${fields.length / 2} header fields, more than ${MAX_HEADER_FIELDS}`
    )
  }
  return fields
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB
}

/**
 * Refuses tabs behind a value that frames the body. RFC 9110, 5.5 lets them be, but not all programs read `chunked` and
 * a tab as `chunked`.
 */
function checkBlanks(name: string, blanks: string): void {
  if (blanks.includes('\t') && (isNamed(name, 'transfer-encoding') || isNamed(name, 'content-length'))) {
    throw malformed(`the header ${name} has a tab behind its value`)
  }
}

function badName(block: string, at: number, nameEnd: number, index: number): BadMessageError {
  const which = `header field ${index + 1}`
  const code = block.charCodeAt(nameEnd)
  if (nameEnd === at && isBlank(code)) return malformed(`${which} begins with a blank (obsolete line folding)`)
  if (nameEnd > at && isBlank(code)) return malformed(`${which} has a blank in its name or before the colon`)
  return malformed(`${which} has ${describeCharacter(code)} in its name`)
}

function badValue(block: string, at: number, nameEnd: number, to: number): BadMessageError {
  const what = describeCharacter(block.charCodeAt(to))
  return malformed(`the header ${block.slice(at, nameEnd).slice(0, 64)} has ${what} in its value`)
}

/** Whether a header has this name, in whatever case. @param wanted in lower case */
export function isNamed(name: string, wanted: string): boolean {
  return name.length === wanted.length && (name === wanted || name.toLowerCase() === wanted)
}

/** All values of a header, as they came. @param wanted its name in lower case */
export function fieldValues(fields: Fields, wanted: string): string[] {
  const values: string[] = []
  for (let at = 0; at + 1 < fields.length; at += 2) {
    if (isNamed(fields[at] ?? '', wanted)) values.push(fields[at + 1] ?? '')
  }
  return values
}

/**
 * The elements of a header that is a list of tokens (`Connection`, `TE`, `Upgrade`), from all its lines, in lower case,
 * without empty ones.
 * @param wanted its name in lower case
 */
export function listElements(fields: Fields, wanted: string): string[] {
  return fieldValues(fields, wanted)
    .flatMap(value => value.split(','))
    .map(element => element.trim().toLowerCase())
    .filter(element => element !== '')
}
