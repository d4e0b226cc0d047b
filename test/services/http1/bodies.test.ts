import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Fields } from '../../../src/services/http1/fields.js'
import { formatChunk, formatLastChunk } from '../../../src/services/http1/format.js'
import type { BodyFraming } from '../../../src/services/http1/framing.js'
import { MessageBodyReader } from '../../../src/services/http1/message-body-reader.js'

/** A sink that keeps all that it is told. */
class Kept {
  body = ''
  ends: Fields[] = []

  onData(piece: Buffer): void {
    assert.ok(piece.length > 0)
    this.body += piece.toString('latin1')
  }

  onEnd(trailers: Fields): void {
    this.ends.push(trailers)
  }
}

/** Body, trailers, and the text behind them, `undefined` while the body goes on. */
function readBody(framing: BodyFraming, ...pieces: string[]) {
  const kept = new Kept()
  const reader = new MessageBodyReader(framing, kept)
  let rest: Buffer | undefined
  for (const piece of pieces) rest = reader.read(Buffer.from(piece, 'latin1'))
  return { body: kept.body, ends: kept.ends, rest: rest?.toString('latin1'), reader }
}

function readChunked(text: string) {
  const { body, ends, rest } = readBody({ kind: 'chunked' }, text)
  return { body, trailers: ends[0], rest }
}

test('a body without bytes ends at once', () => {
  for (const framing of [{ kind: 'none' }, { kind: 'length', bytes: 0 }] as const) {
    const { body, ends, rest } = readBody(framing, 'GET')
    assert.deepEqual({ body, ends, rest }, { body: '', ends: [[]], rest: 'GET' })
    assert.equal(readBody(framing, '').rest, '')
  }
})

test('a body with a length ends behind it', () => {
  const framing: BodyFraming = { kind: 'length', bytes: 5 }
  assert.deepEqual(readBody(framing, 'ab', '').rest, undefined)
  assert.equal(readBody(framing, 'ab', 'cde').rest, '')
  assert.equal(readBody(framing, 'abcde\r\nGET').rest, '\r\nGET')
  const { body, ends, rest, reader } = readBody(framing, 'ab', 'cdeGET')
  assert.deepEqual({ body, ends, rest }, { body: 'abcde', ends: [[]], rest: 'GET' })
  assert.equal(reader.read(Buffer.from('x'))?.toString(), 'x', 'nothing more belongs to it')
  assert.equal(ends.length, 1)
})

test('a body until the end of the connection ends with that', () => {
  const { reader, ends, body, rest } = readBody({ kind: 'until-close' }, 'ab', 'c')
  assert.deepEqual({ body, ends, rest }, { body: 'abc', ends: [], rest: undefined })
  reader.endOfInput()
  reader.endOfInput()
  assert.deepEqual(ends, [[]])
})

test('the end of the connection within a body is an error, behind it it is none', () => {
  for (const framing of [{ kind: 'length', bytes: 5 }, { kind: 'chunked' }] as const) {
    const { reader, ends } = readBody(framing, '3\r\n')
    assert.throws(() => reader.endOfInput(), { name: 'BadMessageError', problem: 'incomplete' })
    assert.deepEqual(ends, [])
  }
  readBody({ kind: 'length', bytes: 1 }, 'a').reader.endOfInput()
})

test('a body in chunks is decoded, and its extensions are dropped', () => {
  assert.deepEqual(readChunked('3\r\nabc\r\nB\r\n0123456789\n\r\n0\r\n\r\nGET'), {
    body: 'abc0123456789\n',
    trailers: [],
    rest: 'GET'
  })
  assert.deepEqual(readChunked('00a;x\r\n0123456789\r\n0;y=z;q="a;\\"\xe4\t b"\r\n\r\n'), {
    body: '0123456789',
    trailers: [],
    rest: ''
  })
})

test('trailers are told, and their end is the end of the message', () => {
  assert.deepEqual(readChunked('0\r\nGrpc-Status: 0\r\nX:\r\n\r\nGET'), {
    body: '',
    trailers: ['Grpc-Status', '0', 'X', ''],
    rest: 'GET'
  })
  assert.equal(readChunked('0\r\nGrpc-Status: 0\r\n').rest, undefined)
})

const MALFORMED_CHUNKS: Readonly<Record<string, string>> = {
  'no size': '\r\nabc',
  'a size that is no number': 'x\r\n',
  'a signed size': '+3\r\nabc\r\n',
  'a size with 0x': '0x3\r\nabc\r\n',
  'a blank before the size': ' 3\r\nabc\r\n',
  'a blank behind the size': '3 \r\nabc\r\n',
  'a blank before the semicolon': '3 ;a\r\nabc\r\n',
  'a size of 2^53': '20000000000000\r\n',
  'a size of 15 digits': '000000000000001\r\na\r\n',
  'a bare LF behind the size': '3\nabc\r\n',
  'a bare CR behind the size': '3\rabc\r\n',
  'a bare LF behind an extension': '3;a\nabc\r\n',
  'a bare LF in a quoted extension': '3;a="\n"\r\nabc\r\n',
  'a bare CR behind an extension': '3;a\rabc\r\n',
  'NUL in an extension': '3;a\0\r\nabc\r\n',
  'an extension without a name': '3;\r\nabc\r\n',
  'an extension without its value': '3;a=\r\nabc\r\n',
  'a quote that is not closed': '3;a="b\r\nabc\r\n',
  'a blank in the extensions': '3; a\r\nabc\r\n',
  'more data than the size': '3\r\nabcd\r\n',
  'data that ends with LF': '3\r\nabc\n0\r\n\r\n',
  'data that ends with CR': '3\r\nabc\r0\r\n\r\n',
  'data that ends with another character and LF': '3\r\nabcx\n0\r\n\r\n',
  'a bare LF as the last line': '0\r\n\n',
  'CR and no LF as the last line': '0\r\n\rX',
  'a trailer that ends with LF': '0\r\nA: b\n\r\n',
  'a trailer without a colon': '0\r\nA\r\n\r\n',
  'a blank before a colon in a trailer': '0\r\nA : b\r\n\r\n',
  'a trailer that is folded': '0\r\nA: b\r\n c\r\n\r\n',
  'a first trailer that begins with a blank': '0\r\n A: b\r\n\r\n',
  'a length as trailer': '0\r\nContent-Length: 5\r\n\r\n',
  'a coding as trailer': '0\r\nTRANSFER-ENCODING: chunked\r\n\r\n',
  'a host as trailer': '0\r\nA: b\r\nHost: x\r\n\r\n',
  'credentials as trailer': '0\r\nAuthorization: x\r\n\r\n',
  'a cookie as trailer': '0\r\nSet-Cookie: x\r\n\r\n',
  'a trailer that says who asks': '0\r\nX-Forwarded-For: x\r\n\r\n'
}

for (const [what, text] of Object.entries(MALFORMED_CHUNKS)) {
  test(`a body in chunks is malformed by: ${what}`, () => {
    assert.throws(() => readChunked(text), { name: 'BadMessageError', problem: 'malformed' })
  })
}

test('extensions and trailers have bounds', () => {
  const tooLarge = { name: 'BadMessageError', problem: 'too-large' }
  assert.equal(readChunked(`1;${'a'.repeat(4095)}\r\nb\r\n0\r\n\r\n`).body, 'b')
  assert.throws(() => readChunked(`1;${'a'.repeat(4096)}`), tooLarge)
  assert.equal(readChunked(`0\r\nA: ${'b'.repeat(65_529)}\r\n\r\n`).rest, '')
  assert.throws(() => readChunked(`0\r\nA: ${'b'.repeat(65_530)}\r\n\r\n`), tooLarge)
  assert.throws(() => readChunked(`0\r\n${'A: b\r\n'.repeat(201)}\r\n`), tooLarge)
})

test('chunks are written as they are read', () => {
  assert.deepEqual(formatChunk(Buffer.alloc(0)), [], 'an empty chunk would be the last one')
  assert.equal(Buffer.concat(formatChunk(Buffer.from('0123456789'))).toString(), 'a\r\n0123456789\r\n')
  const large = Buffer.alloc(100_000, 'x')
  assert.ok(formatChunk(large).includes(large), 'it is not copied')
  assert.equal(readChunked(Buffer.concat(formatChunk(large)).toString()).body, large.toString())
  assert.equal(formatLastChunk([]).toString(), '0\r\n\r\n')
  assert.equal(formatLastChunk(['A', 'b', 'C', '']).toString(), '0\r\nA: b\r\nC: \r\n\r\n')
  assert.throws(() => formatLastChunk(['A', 'b\r\n\r\n']), TypeError)
})
