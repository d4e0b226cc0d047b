import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BodyFraming, requestFraming, responseFraming } from '../../../src/services/http1/framing.js'

const MALFORMED = { name: 'BadMessageError', problem: 'malformed' }

function ofRequest(fields: readonly string[], minor: 0 | 1 = 1): BodyFraming {
  return requestFraming({ method: 'POST', target: '/', minor, fields })
}

function ofAnswer(status: number, fields: readonly string[], method = 'GET', minor: 0 | 1 = 1): BodyFraming {
  return responseFraming({ status, reason: '', minor, fields }, method)
}

test('the body of a request has a length, chunks, or is not there', () => {
  assert.deepEqual(ofRequest([]), { kind: 'none' })
  assert.deepEqual(ofRequest(['content-LENGTH', '7']), { kind: 'length', bytes: 7 })
  assert.deepEqual(ofRequest(['Content-Length', '0']), { kind: 'length', bytes: 0 })
  assert.deepEqual(ofRequest(['Content-Length', '0007']), { kind: 'length', bytes: 7 })
  assert.deepEqual(ofRequest(['Content-Length', '7'], 0), { kind: 'length', bytes: 7 })
  assert.deepEqual(ofRequest(['Content-Length', '9007199254740991']), { kind: 'length', bytes: 2 ** 53 - 1 })
  assert.deepEqual(ofRequest(['Transfer-Encoding', 'chunked']), { kind: 'chunked' })
  assert.deepEqual(ofRequest(['transfer-encoding', 'Chunked']), { kind: 'chunked' })
})

const MALFORMED_FIELDS: Readonly<Record<string, readonly string[]>> = {
  'both a length and a coding': ['Content-Length', '7', 'Transfer-Encoding', 'chunked'],
  'both, the other way round': ['Transfer-Encoding', 'chunked', 'content-length', '7'],
  'two lengths': ['Content-Length', '7', 'Content-Length', '8'],
  'the same length twice': ['Content-Length', '7', 'content-length', '7'],
  'a list of the same lengths': ['Content-Length', '7, 7'],
  'an empty length': ['Content-Length', ''],
  'a signed length': ['Content-Length', '+7'],
  'a negative length': ['Content-Length', '-7'],
  'a hexadecimal length': ['Content-Length', '0x7'],
  'a fraction': ['Content-Length', '7.0'],
  'an exponent': ['Content-Length', '7e1'],
  'a blank inside a length': ['Content-Length', '7 7'],
  'a length of 2^53': ['Content-Length', '9007199254740992'],
  'a length of 17 digits': ['Content-Length', '00000000000000007'],
  'chunked not last': ['Transfer-Encoding', 'chunked, gzip'],
  'chunked twice': ['Transfer-Encoding', 'chunked, chunked'],
  'chunked twice, in two fields': ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked'],
  'another coding before it': ['Transfer-Encoding', 'gzip, chunked'],
  'another coding in a field of its own': ['Transfer-Encoding', 'gzip', 'Transfer-Encoding', 'chunked'],
  'another coding alone': ['Transfer-Encoding', 'gzip'],
  identity: ['Transfer-Encoding', 'identity'],
  'an empty coding': ['Transfer-Encoding', ''],
  'an empty element': ['Transfer-Encoding', ', chunked'],
  'a parameter': ['Transfer-Encoding', 'chunked;q=1'],
  'something like chunked': ['Transfer-Encoding', 'xchunked'],
  'chunked in quotes': ['Transfer-Encoding', '"chunked"'],
  'a vertical tab before chunked': ['Transfer-Encoding', '\vchunked']
}

for (const [what, fields] of Object.entries(MALFORMED_FIELDS)) {
  test(`neither a request nor an answer may have: ${what}`, () => {
    assert.throws(() => ofRequest(fields), MALFORMED)
    assert.throws(() => ofAnswer(200, fields), MALFORMED)
    assert.throws(() => ofAnswer(200, fields, 'HEAD'), MALFORMED)
    assert.throws(() => ofAnswer(304, fields), MALFORMED)
  })
}

test('HTTP/1.0 has no transfer codings', () => {
  assert.throws(() => ofRequest(['Transfer-Encoding', 'chunked'], 0), MALFORMED)
  assert.throws(() => ofAnswer(200, ['Transfer-Encoding', 'chunked'], 'GET', 0), MALFORMED)
})

test('an answer to HEAD, 1xx, 204 and 304 have no body, whatever they say of it', () => {
  for (const fields of [[], ['Content-Length', '7'], ['Content-Length', '0'], ['Transfer-Encoding', 'chunked']]) {
    for (const status of [100, 101, 103, 204, 304]) assert.deepEqual(ofAnswer(status, fields), { kind: 'none' })
    assert.deepEqual(ofAnswer(200, fields, 'HEAD'), { kind: 'none' })
    assert.deepEqual(ofAnswer(404, fields, 'HEAD'), { kind: 'none' })
    assert.deepEqual(ofAnswer(200, fields, 'CONNECT'), { kind: 'none' })
  }
})

test('other answers have the body that they name, or one that ends with the connection', () => {
  for (const status of [200, 205, 206, 301, 400, 500]) {
    assert.deepEqual(ofAnswer(status, ['Content-Length', '7']), { kind: 'length', bytes: 7 })
    assert.deepEqual(ofAnswer(status, ['Transfer-Encoding', 'chunked']), { kind: 'chunked' })
    assert.deepEqual(ofAnswer(status, []), { kind: 'until-close' })
    assert.deepEqual(ofAnswer(status, [], 'POST', 0), { kind: 'until-close' })
  }
  assert.deepEqual(ofAnswer(407, ['Content-Length', '7'], 'CONNECT'), { kind: 'length', bytes: 7 })
  assert.deepEqual(ofAnswer(200, ['Content-Length', '7'], 'head'), { kind: 'length', bytes: 7 }, 'methods have a case')
})
