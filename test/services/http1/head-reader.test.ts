import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HeadKind, HeadReader, MAX_HEAD_BYTES } from '../../../src/services/http1/head-reader.js'

const HEAD = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
const MALFORMED = { name: 'BadMessageError', problem: 'malformed' }
const TOO_LARGE = { name: 'BadMessageError', problem: 'too-large' }

function read(kind: HeadKind, ...pieces: string[]) {
  const reader = new HeadReader(kind)
  for (const piece of pieces) {
    const found = reader.read(Buffer.from(piece, 'latin1'))
    if (found !== undefined) return { head: found.head, rest: found.rest.toString('latin1') }
  }
  return undefined
}

test('a head ends with its empty line, and the bytes behind it are given back', () => {
  assert.deepEqual(read('request', HEAD), { head: HEAD, rest: '' })
  assert.deepEqual(read('request', `${HEAD}body\r\n\r\n`), { head: HEAD, rest: 'body\r\n\r\n' })
  for (let at = 1; at < HEAD.length; at += 1) {
    assert.deepEqual(read('request', HEAD.slice(0, at), `${HEAD.slice(at)}body`), { head: HEAD, rest: 'body' })
  }
  assert.deepEqual(read('request', ...HEAD), { head: HEAD, rest: '' })
})

test('a reader reads one head after another, and says whether it is within one', () => {
  const reader = new HeadReader('request')
  const next = (text: string) => reader.read(Buffer.from(text))?.head
  for (let round = 0; round < 3; round += 1) {
    assert.equal(reader.isWithin, false)
    assert.equal(next(HEAD.slice(0, 9)), undefined)
    assert.equal(reader.isWithin, true)
    assert.equal(next(''), undefined)
    assert.equal(next(HEAD.slice(9)), HEAD)
    assert.equal(next(`\r\n${HEAD}`), HEAD)
  }
})

test('before a request one empty line is skipped, two are not', () => {
  assert.deepEqual(read('request', `\r\n${HEAD}`), { head: HEAD, rest: '' })
  assert.deepEqual(read('request', '\r', '', '\n', HEAD), { head: HEAD, rest: '' })
  assert.throws(() => read('request', '\r\n', '\r', '\n', HEAD), MALFORMED)
  assert.throws(() => read('request', '\r', HEAD), MALFORMED)
  assert.throws(() => read('request', '\n', HEAD), MALFORMED)
  assert.throws(() => read('response', '\r\n', 'HTTP/1.1 200 OK\r\n\r\n'), MALFORMED)
})

test('what cannot become a head is refused before an empty line comes', () => {
  for (const begun of [
    'GET / HTTP/1.1\n',
    'GET / HTTP/1.1\r\nHost: x\n\n',
    'GET / HTTP/1.1\rH',
    'GET / HTTP/1.1\r\r',
    'GET /\0',
    '\x16\x03\x01\x02\x00'
  ]) {
    assert.throws(() => read('request', begun), MALFORMED, JSON.stringify(begun))
    assert.throws(() => read('request', ...begun), MALFORMED, JSON.stringify(begun))
  }
  assert.equal(read('request', 'GET / HTTP/1.1\r'), undefined, 'LF may come')
})

test('a head of 64 KiB passes, a longer one is refused as soon as that is known', () => {
  const ofLength = (length: number) => `GET / HTTP/1.1\r\nA: ${'b'.repeat(length - 23)}\r\n\r\n`
  const longest = ofLength(MAX_HEAD_BYTES)
  assert.equal(longest.length, MAX_HEAD_BYTES)
  assert.deepEqual(read('request', `${longest}body`), { head: longest, rest: 'body' })
  assert.deepEqual(read('request', longest.slice(0, -1), '\nbody'), { head: longest, rest: 'body' })
  assert.throws(() => read('request', ofLength(MAX_HEAD_BYTES + 1)), TOO_LARGE)
  assert.throws(() => read('request', ofLength(MAX_HEAD_BYTES + 1).slice(0, -1)), TOO_LARGE)
  assert.throws(() => read('response', 'x'.repeat(40_000), 'x'.repeat(40_000)), TOO_LARGE)
  assert.throws(() => read('request', `${'x'.repeat(MAX_HEAD_BYTES - 1)}\n`), MALFORMED)
})

test('a head is given as the bytes that came', () => {
  const bytes = `GET /\xff\x80 HTTP/1.1\r\nA: \xe4\r\n\r\n`
  assert.equal(read('request', bytes)?.head, bytes)
})
