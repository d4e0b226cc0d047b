import fc from 'fast-check'

const LETTERS = [...'abcXYZ019-_']
const AWKWARD_VALUES = [
  '',
  'a  b',
  '\t',
  'a\tb',
  '"a, b"',
  'a:b',
  '\xe4\xff',
  ',',
  'close',
  'keep-alive',
  'chunked',
  '5'
]
const NAMES = ['Host', 'A', 'x-b', 'Accept', 'Connection', 'Keep-Alive', 'TE', 'Trailer', 'Expect', "a!#$%&'*+-.^_`|~9"]
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND', 'MKCOL', 'REPORT', 'PURGE']
const TARGETS = [
  '/',
  '*',
  '/a',
  '//a/../b;c?d=%20&e',
  '/%2F%2e?',
  '/"<>\\^`{|}~',
  'http://h:80/a?b',
  'HTTP://h',
  '/?a=http://b'
]

/** Texts that parsers are known to read differently, by the text that each takes the place of; for {@link mutated}. */
const TRAPS: Readonly<Record<string, readonly string[]>> = {
  '\r\n': [
    ...['\n', '\r', '', '\n\r', '\n\n', '\r\r\n', '\r\n\n', '\r\n\r', '\r\n\r\n', '\r\n ', '\r\n\t', '\r\n\r\n\r\n'],
    ...[' \r\n', '\t\r\n', '\0\r\n', '\v\r\n', '\f\r\n', '\x7f\r\n', '\x85\r\n', 'x\n', '\v\n', '\0\n', '\rx', 'xx'],
    ...[
      ';\r\n',
      ';a\r\n',
      ' ;a\r\n',
      ';a=\r\n',
      '; a=b\r\n',
      ';a="\r\n',
      ';a\n\r\n',
      '"\r\n',
      ',\r\n',
      '0\r\n',
      'h\r\n'
    ]
  ],
  ':': [
    '',
    ' :',
    '\t:',
    '::',
    '\0:',
    ':\0',
    ':\v',
    '\r\n:',
    ':\r\n ',
    ':\r\n',
    ':\n',
    ':\x7f',
    '=',
    '\xa0:',
    ':,',
    ':+',
    ':0',
    ':0x'
  ],
  ' ': ['', '  ', '\t', ' \t', '\v', '\0', '\x20x\x20', '\r\n', '\r', '\n', '#', '\xa0'],
  '1': ['0', '2', '9', '01', '11', '1.1', '-1', '+1', 'a', 'A', '0x1', '1_1', '1 1', '1,1', '18446744073709551617', '']
}
/** Lines that come between others. */
const LINES = [
  ...[
    'Content-Length: 5',
    'Content-Length: 5, 5',
    'Content-Length:',
    'Content-Length: +5',
    'Content-Length : 5',
    'Content-Length: 0'
  ],
  ...[
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: gzip, chunked',
    'Transfer-Encoding: chunked, x',
    'Transfer-Encoding:'
  ],
  ...[
    'Transfer-Encoding:\tChunked ',
    'Transfer-Encoding: identity',
    'Transfer-Encoding : chunked',
    'Transfer-Encoding: ,chunked'
  ],
  ...[
    'Transfer-Encoding: chunked;a',
    'Transfer-Encoding:\vchunked',
    '\vTransfer-Encoding: chunked',
    'Transfer-Encoding\0: chunked'
  ],
  ...[
    'Connection: close',
    'Connection: keep-alive',
    'Connection: upgrade\r\nUpgrade: x',
    'Upgrade: x',
    'Proxy-Connection: close'
  ],
  ...[
    '',
    '0',
    '5',
    '0\r\n',
    'hello',
    '5\r\nhello',
    'GET / HTTP/1.1',
    'GET / HTTP/1.1\r\n',
    'HTTP/1.1 100 Continue\r\n',
    ' a',
    'a'
  ]
]

const word = fc.string({ unit: fc.constantFrom(...LETTERS), minLength: 1, maxLength: 6 })
const value = fc.oneof(word, fc.constantFrom(...AWKWARD_VALUES))
const blanks = fc.constantFrom('', ' ', ' ', '\t', ' \t ')
const fieldLine = fc
  .tuple(fc.oneof(word, fc.constantFrom(...NAMES)), blanks, value, blanks)
  .map(([name, before, text, after]) => `${name}:${before}${text}${after}\r\n`)
const plainFieldLine = fc.tuple(word, value).map(([name, text]) => `x${name}: ${text}\r\n`)
const bodyText = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'ab\r\n 0'), maxLength: 12 }),
  fc.constantFrom('0\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n', 'x'.repeat(300))
)
const extension = fc.constantFrom('', '', '', ';a', ';a=b', ';a="b c"', ';a;b=c', ';a="\\""')
const chunk = fc
  .tuple(bodyText, extension, fc.boolean(), fc.constantFrom('', '', '0', '000'))
  .filter(([text]) => text !== '')
  .map(([text, extensions, isUpper, zeros]) => {
    const size = text.length.toString(16)
    return `${zeros}${isUpper ? size.toUpperCase() : size}${extensions}\r\n${text}\r\n`
  })
const chunkedBody = fc
  .tuple(fc.array(chunk, { maxLength: 3 }), extension, fc.array(plainFieldLine, { maxLength: 2 }))
  .map(([chunks, extensions, trailers]) => `${chunks.join('')}0${extensions}\r\n${trailers.join('')}\r\n`)
/** A field that frames the body, and the body. */
const framedBody = fc.oneof(
  fc.constant(['', '']),
  bodyText.map(text => [`Content-Length: ${text.length}\r\n`, text]),
  chunkedBody.map(text => ['Transfer-Encoding: chunked\r\n', text])
)
const fieldLines = fc.array(fieldLine, { maxLength: 4 })

/** A start line, fields with one that frames the body among them, and the body. */
function messageOf(startLine: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(startLine, fieldLines, framedBody, fieldLines)
    .map(
      ([start, before, [framing, body], after]) =>
        `${start}\r\n${before.join('')}${framing}${after.join('')}\r\n${body}`
    )
}

const requestLine = fc
  .tuple(fc.constantFrom(...METHODS), fc.constantFrom(...TARGETS), fc.constantFrom('1.1', '1.1', '1.1', '1.0'))
  .map(([method, target, version]) => `${method} ${target} HTTP/${version}`)
const statusLine = fc
  .tuple(
    fc.constantFrom('1.1', '1.1', '1.0'),
    fc.constantFrom(200, 204, 206, 304, 404, 500),
    fc.constantFrom(' OK', ' ', ' a  b', '')
  )
  .map(([version, status, reason]) => `HTTP/${version} ${status}${reason}`)
const interim = fc.constantFrom('', '', 'HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n')

/** Requests on one connection, one character a byte; in order unless a field happens to frame them otherwise. */
export const anyRequests = fc.array(messageOf(requestLine), { minLength: 1, maxLength: 3 }).map(texts => texts.join(''))

/** Interim answers and an answer, one character a byte. */
export const anyAnswer = fc.tuple(interim, messageOf(statusLine)).map(([before, text]) => before + text)

/** A place in a text, from 0 up to 1. Not `fc.double`, most of whose values are close to 0. */
const at = fc.nat(9_999).map(number => number / 10_000)

/** One change of a text, at a place between 0 and 1. */
interface Change {
  readonly at: number
  /** The text that goes; undefined: a number of characters. */
  readonly replaced: string | undefined
  readonly removed: number
  readonly added: string
}

const trap = fc.oneof(
  ...Object.entries(TRAPS).map(([replaced, texts]) =>
    fc.record({ at, replaced: fc.constant(replaced), removed: fc.constant(0), added: fc.constantFrom(...texts) })
  )
)
const newLine = fc.record({
  at,
  replaced: fc.constant('\r\n'),
  removed: fc.constant(0),
  added: fc.constantFrom(...LINES).map(line => `\r\n${line}\r\n`)
})
const anyByte = fc.nat(255).map(code => String.fromCharCode(code))
const slip = fc.record({
  at,
  replaced: fc.constant(undefined),
  removed: fc.constantFrom(0, 0, 1, 1, 2, 5),
  added: fc.oneof(fc.constant(''), anyByte)
})
const change: fc.Arbitrary<Change> = fc.oneof(trap, trap, newLine, slip)

/** A text with up to three changes in it, each of which may make it malformed. */
export function mutated(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(text, fc.array(change, { maxLength: 3 }))
    .map(([original, changes]) => changes.reduce(apply, original))
}

function apply(text: string, { at, replaced, removed, added }: Change): string {
  const place = Math.floor(at * text.length)
  if (replaced === undefined) return text.slice(0, place) + added + text.slice(place + removed)
  const found = text.indexOf(replaced, place)
  return found === -1 ? text : text.slice(0, found) + added + text.slice(found + replaced.length)
}

/** Cuts of a text into pieces. */
export const anyCuts = fc.array(at, { maxLength: 8 })

/** @param cuts places from 0 to 1 */
export function cutInto(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = cuts.map(cut => Math.floor(cut * bytes.length)).sort((a, b) => a - b)
  return [0, ...places].map((from, index) => bytes.subarray(from, places[index] ?? bytes.length))
}
