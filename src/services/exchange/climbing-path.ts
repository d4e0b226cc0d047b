/** Each turn takes one layer of encoding away; what has more layers is nothing that anyone means. */
const MAX_LAYERS = 8

/** The query is not part of the path, a fragment no part of a request. */
const QUERY = /\?/

/** UTF-8 sequences that are longer than their ASCII character needs, as lenient decoders take them; also ended by any byte. */
const OVERLONG = /(?:[\xc0\xc1]|\xe0[\x80\x81]|\xf0\x80[\x80\x81]|\xf8\x80\x80[\x80\x81]|\xfc\x80\x80\x80[\x80\x81])./gs

/** Slashes to which programs fold others: division slash, fraction slash, and set minus for the other one. */
const FOLDED_SLASHES = /[\u2044\u2215\u2216\u29f5\u29f8\u29f9]/g

/** The end of a path or segment for some reader: parameters, a query, a fragment, the end of a C string. */
const END_OF_SEGMENT = /[;?#\0].*$/s

/** Characters that programs leave out: controls, blanks, and bytes that are no character of theirs. */
const LEFT_OUT = /[^\x21-\x7e]/g

/** Dots, two or more: some systems take more of them for two. */
const DOTS = /^\.{2,}$/

/**
 * Whether a request's path could lead upwards (`..`) for the server behind, whatever that one decodes, folds, cuts off or
 * leaves out before it looks: percent-encoding in several layers, `;` parameters, NUL, blanks, backslashes, overlong UTF-8,
 * full-width forms.
 * @param target as it came, each byte a character; what follows the first `?` is not looked at
 */
export function climbs(target: string): boolean {
  const path = target.split(QUERY, 1)[0] ?? ''
  return climbsDecoded(path, text => text) || climbsDecoded(path, fold)
}

function climbsDecoded(path: string, folded: (bytes: string) => string): boolean {
  let text = folded(path)
  for (let layer = 0; layer <= MAX_LAYERS; layer += 1) {
    if (hasClimbingSegment(text)) return true
    const decoded = folded(decodePercent(text))
    if (decoded === text) return false
    text = decoded
  }
  return true
}

function hasClimbingSegment(text: string): boolean {
  return text.split(/[/\\]/).some(segment => {
    const visible = segment.replace(LEFT_OUT, '')
    const beforeCut = segment.replace(END_OF_SEGMENT, '').replace(LEFT_OUT, '')
    return [visible, visible.replace(END_OF_SEGMENT, ''), beforeCut].some(part => DOTS.test(part))
  })
}

/** Decodes one layer, to bytes. `%u002e` as well, which some servers know. */
function decodePercent(bytes: string): string {
  return bytes
    .replace(/%u([0-9a-f]{4})/gi, (_all, hex: string) => toBytes(String.fromCharCode(Number.parseInt(hex, 16))))
    .replace(/%([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** Bytes again, with the characters that look like dots, slashes and the like in place of these (NFKC). */
function fold(bytes: string): string {
  const short = bytes.replace(OVERLONG, sequence => {
    const [last = 0, before = 0] = [sequence.charCodeAt(sequence.length - 1), sequence.charCodeAt(sequence.length - 2)]
    return String.fromCharCode(((before & 1) << 6) | (last & 0x3f))
  })
  const text = Buffer.from(short, 'latin1').toString('utf8').normalize('NFKC').replace(FOLDED_SLASHES, '/')
  return toBytes(text)
}

function toBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
