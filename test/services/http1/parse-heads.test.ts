import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPersistent } from '../../../src/services/http1/heads.js'
import { parseRequestHead, parseResponseHead } from '../../../src/services/http1/parse-heads.js'

test('a request head is read as it came', () => {
  const block =
    'PROPFIND /a//b;c/%2F?d=%20&e HTTP/1.1\r\nHost: x:8080\r\nX-Empty:\r\nx-a:\t b  c \t\r\nX-A: \xe4=\r\n\r\n'
  assert.deepEqual(parseRequestHead(block), {
    method: 'PROPFIND',
    target: '/a//b;c/%2F?d=%20&e',
    minor: 1,
    fields: ['Host', 'x:8080', 'X-Empty', '', 'x-a', 'b  c', 'X-A', '\xe4=']
  })
  assert.deepEqual(parseRequestHead('OPTIONS * HTTP/1.0\r\n\r\n'), {
    method: 'OPTIONS',
    target: '*',
    minor: 0,
    fields: []
  })
  assert.equal(parseRequestHead('any!#$%&\'*+-.^_`|~TOKEN /\xff"<>\\^`{|} HTTP/1.0\r\n\r\n').target, '/\xff"<>\\^`{|}')
})

test('an answer head is read as it came', () => {
  assert.deepEqual(parseResponseHead('HTTP/1.1 404 Not\tFound \xe4\r\nA: b\r\n\r\n'), {
    status: 404,
    reason: 'Not\tFound \xe4',
    minor: 1,
    fields: ['A', 'b']
  })
  assert.deepEqual(parseResponseHead('HTTP/1.0 999 \r\n\r\n'), { status: 999, reason: '', minor: 0, fields: [] })
  assert.deepEqual(parseResponseHead('HTTP/1.1 200\r\n\r\n'), { status: 200, reason: '', minor: 1, fields: [] })
})

/** Each is one thing away from `GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n`. */
const MALFORMED_REQUESTS: Readonly<Record<string, string>> = {
  'no method': ' /a HTTP/1.1\r\nHost: x\r\n\r\n',
  'a method that is no token': 'G@T /a HTTP/1.1\r\nHost: x\r\n\r\n',
  'an empty line at the start': '\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n',
  'two blanks behind the method': 'GET  /a HTTP/1.1\r\nHost: x\r\n\r\n',
  'a tab behind the method': 'GET\t/a HTTP/1.1\r\nHost: x\r\n\r\n',
  'two blanks behind the target': 'GET /a  HTTP/1.1\r\nHost: x\r\n\r\n',
  'a blank in the target': 'GET /a b HTTP/1.1\r\nHost: x\r\n\r\n',
  'a tab in the target': 'GET /a\tb HTTP/1.1\r\nHost: x\r\n\r\n',
  'NUL in the target': 'GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n',
  'DEL in the target': 'GET /a\x7fb HTTP/1.1\r\nHost: x\r\n\r\n',
  'a fragment': 'GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n',
  'no target': 'GET  HTTP/1.1\r\nHost: x\r\n\r\n',
  'no version': 'GET /a\r\nHost: x\r\n\r\n',
  'a version in lower case': 'GET /a http/1.1\r\nHost: x\r\n\r\n',
  'a version without a minor one': 'GET /a HTTP/1\r\nHost: x\r\n\r\n',
  'a longer version': 'GET /a HTTP/1.10\r\nHost: x\r\n\r\n',
  'a blank behind the version': 'GET /a HTTP/1.1 \r\nHost: x\r\n\r\n',
  'another protocol': 'GET /a ICE/1.0\r\nHost: x\r\n\r\n',
  'a relative target': 'GET a HTTP/1.1\r\nHost: x\r\n\r\n',
  '* with GET': 'GET * HTTP/1.1\r\nHost: x\r\n\r\n',
  'a host and port with GET': 'GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n',
  'another scheme': 'GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n',
  'a user in the target': 'GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n',
  'a URL without a host': 'GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n',
  'a path with CONNECT': 'CONNECT /a HTTP/1.1\r\nHost: x\r\n\r\n',
  'a host without a port with CONNECT': 'CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n',
  'a bare LF behind the request line': 'GET /a HTTP/1.1\nHost: x\r\n\r\n',
  'a bare CR behind the request line': 'GET /a HTTP/1.1\rHost: x\r\n\r\n',
  'a bare LF behind a field': 'GET /a HTTP/1.1\r\nHost: x\nA: b\r\n\r\n',
  'a bare CR in a value': 'GET /a HTTP/1.1\r\nHost: x\rA: b\r\n\r\n',
  'two CR behind a field': 'GET /a HTTP/1.1\r\nHost: x\r\r\n\r\n',
  'a bare LF as the last line': 'GET /a HTTP/1.1\r\nHost: x\r\n\n',
  'an empty line and then more': 'GET /a HTTP/1.1\r\nHost: x\r\n\r\nA: b\r\n\r\n',
  'no empty line': 'GET /a HTTP/1.1\r\nHost: x\r\n',
  'half an empty line': 'GET /a HTTP/1.1\r\nHost: x\r\n\r',
  'obs-fold': 'GET /a HTTP/1.1\r\nHost: x\r\n y\r\n\r\n',
  'obs-fold by a tab': 'GET /a HTTP/1.1\r\nHost: x\r\n\ty\r\n\r\n',
  'a blank before the first field': 'GET /a HTTP/1.1\r\n Host: x\r\n\r\n',
  'a blank before the colon': 'GET /a HTTP/1.1\r\nHost : x\r\n\r\n',
  'a tab before the colon': 'GET /a HTTP/1.1\r\nHost\t: x\r\n\r\n',
  'no colon': 'GET /a HTTP/1.1\r\nHost\r\n\r\n',
  'no name': 'GET /a HTTP/1.1\r\n: x\r\n\r\n',
  'a name that is no token': 'GET /a HTTP/1.1\r\nHo(st: x\r\n\r\n',
  'a name with a byte above 0x7f': 'GET /a HTTP/1.1\r\nH\xf6st: x\r\n\r\n',
  'NUL in a name': 'GET /a HTTP/1.1\r\nHo\0st: x\r\n\r\n',
  'NUL in a value': 'GET /a HTTP/1.1\r\nHost: x\0\r\n\r\n',
  'a control in a value': 'GET /a HTTP/1.1\r\nHost: \x1bx\r\n\r\n',
  'DEL in a value': 'GET /a HTTP/1.1\r\nHost: x\x7f\r\n\r\n',
  'a tab behind a length': 'GET /a HTTP/1.1\r\nContent-Length: 5\t\r\n\r\n',
  'a tab behind a coding': 'GET /a HTTP/1.1\r\nTransfer-Encoding: chunked \t \r\n\r\n',
  'a character that is no byte': 'GET /a HTTP/1.1\r\nHost: \u010a\r\n\r\n',
  nothing: '',
  'an empty line alone': '\r\n\r\n'
}

for (const [what, block] of Object.entries(MALFORMED_REQUESTS)) {
  test(`a request is malformed by: ${what}`, () => {
    assert.throws(() => parseRequestHead(block), { name: 'BadMessageError', problem: 'malformed' })
  })
}

test('no control but a tab stands anywhere in a head, nor a line end by one', () => {
  const controls = Array.from({ length: 0x21 }, (_, code) => String.fromCharCode(code === 0x20 ? 0x7f : code))
  for (const control of controls) {
    for (const text of [control, `${control}\n`, `\r${control}`]) {
      const isTab = text === '\t'
      const blocks = [
        `GET /a HTTP/1.1\r\nA: b${text}c\r\n\r\n`,
        `GET /a HTTP/1.1\r\nA: b${text}\r\n\r\n`,
        `GET /a HTTP/1.1\r\nA: b${text}C: d\r\n\r\n`
      ]
      for (const block of blocks) {
        if (isTab || (text === '\r\n' && block.includes('C: d'))) assert.ok(parseRequestHead(block))
        else assert.throws(() => parseRequestHead(block), { problem: 'malformed' }, JSON.stringify(block))
      }
      for (const block of [
        `GET /${text} HTTP/1.1\r\n\r\n`,
        `GET${text}/ HTTP/1.1\r\n\r\n`,
        `GET / HTTP/1.1${text}A: b\r\n\r\n`
      ]) {
        if (text === '\r\n' && block.includes('A: b')) assert.ok(parseRequestHead(block))
        else assert.throws(() => parseRequestHead(block), { problem: 'malformed' }, JSON.stringify(block))
      }
    }
  }
})

const MALFORMED_ANSWERS: Readonly<Record<string, string>> = {
  'another protocol': 'ICY 200 OK\r\n\r\n',
  'no status': 'HTTP/1.1\r\n\r\n',
  'two digits': 'HTTP/1.1 20 OK\r\n\r\n',
  'four digits': 'HTTP/1.1 2000 OK\r\n\r\n',
  'a status below 100': 'HTTP/1.1 099 OK\r\n\r\n',
  'a signed status': 'HTTP/1.1 +20 OK\r\n\r\n',
  'two blanks': 'HTTP/1.1  200 OK\r\n\r\n',
  'a tab': 'HTTP/1.1\t200 OK\r\n\r\n',
  'a tab behind the status': 'HTTP/1.1 200\tOK\r\n\r\n',
  'NUL in the reason': 'HTTP/1.1 200 O\0K\r\n\r\n',
  'a bare CR in the reason': 'HTTP/1.1 200 O\rK\r\n\r\n',
  'a bare LF behind the reason': 'HTTP/1.1 200 OK\nA: b\r\n\r\n',
  'an empty line before it': '\r\nHTTP/1.1 200 OK\r\n\r\n',
  'a blank before the colon': 'HTTP/1.1 200 OK\r\nA : b\r\n\r\n',
  'obs-fold': 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n'
}

for (const [what, block] of Object.entries(MALFORMED_ANSWERS)) {
  test(`an answer is malformed by: ${what}`, () => {
    assert.throws(() => parseResponseHead(block), { name: 'BadMessageError', problem: 'malformed' })
  })
}

test('another version is told apart from a malformed head', () => {
  for (const version of ['0.9', '1.2', '2.0', '3.0']) {
    const problem = {
      name: 'BadMessageError',
      problem: 'version',
      message: new RegExp(`HTTP/${version.replace('.', '\\.')}`)
    }
    assert.throws(() => parseRequestHead(`PRI * HTTP/${version}\r\n\r\n`), problem)
    assert.throws(() => parseResponseHead(`HTTP/${version} 200 OK\r\n\r\n`), problem)
  }
})

test('200 fields pass, 201 are too large', () => {
  const head = (count: number) => `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(count)}\r\n`
  assert.equal(parseRequestHead(head(200)).fields.length, 400)
  assert.throws(() => parseRequestHead(head(201)), { problem: 'too-large', message: /201 header fields/ })
})

test('a message tells neither values nor targets', () => {
  for (const block of [
    'GET /secret\0 HTTP/1.1\r\n\r\n',
    'GET secret HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.1\r\nAuthorization secret\r\n\r\n',
    'GET / HTTP/1.1\r\nAuthorization: secret\0\r\n\r\n'
  ]) {
    assert.throws(
      () => parseRequestHead(block),
      (error: Error) => !error.message.includes('secret')
    )
  }
})

test('a connection is kept by HTTP/1.1 unless it says close, by HTTP/1.0 only if it says keep-alive', () => {
  const kept = (minor: 0 | 1, ...values: string[]) =>
    isPersistent({ minor, fields: values.flatMap(value => ['Connection', value]) })
  assert.equal(kept(1), true)
  assert.equal(kept(1, 'Upgrade'), true)
  assert.equal(kept(1, 'upgrade, CLOSE'), false)
  assert.equal(kept(1, 'upgrade', ' close '), false)
  assert.equal(kept(1, 'closed'), true)
  assert.equal(kept(0), false)
  assert.equal(kept(0, 'Keep-Alive'), true)
  assert.equal(kept(0, 'keep-alive, close'), false)
})
