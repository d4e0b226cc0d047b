import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BadMessageError } from '../../../src/services/http1/bad-message-error.js'
import {
  formatChunk,
  formatHead,
  formatLastChunk,
  requestLine,
  statusLine
} from '../../../src/services/http1/format.js'
import { parseRequestHead, parseResponseHead } from '../../../src/services/http1/parse-heads.js'
import { readDestination } from '../../../src/services/http1/request-target.js'
import { anyAnswer, anyCuts, anyRequests, cutInto, mutated } from '../../support/http1/any-messages.js'
import { readAnswers, readRequests, type SeenMessages } from '../../support/http1/read-messages.js'

const RUNS = { numRuns: 2_000 }

function seen({ messages, problem }: SeenMessages) {
  return { messages, problem }
}

test('property: requests are read alike in whatever pieces they come', () => {
  fc.assert(
    fc.property(mutated(anyRequests), anyCuts, (text, cuts) => {
      const bytes = Buffer.from(text, 'latin1')
      const whole = seen(readRequests([bytes]))
      assert.deepEqual(seen(readRequests(cutInto(bytes, cuts))), whole)
      assert.deepEqual(seen(readRequests(Array.from(bytes, byte => Buffer.of(byte)))), whole)
    }),
    RUNS
  )
})

test('property: answers are read alike in whatever pieces they come', () => {
  fc.assert(
    fc.property(mutated(anyAnswer), fc.boolean(), anyCuts, (text, isEnded, cuts) => {
      const bytes = Buffer.from(text, 'latin1')
      const whole = seen(readAnswers([bytes], 'GET', isEnded))
      assert.deepEqual(seen(readAnswers(cutInto(bytes, cuts), 'GET', isEnded)), whole)
      assert.deepEqual(
        seen(
          readAnswers(
            Array.from(bytes, byte => Buffer.of(byte)),
            'GET',
            isEnded
          )
        ),
        whole
      )
    }),
    RUNS
  )
})

test('property: a head that is read, written and read again is the same', () => {
  fc.assert(
    fc.property(mutated(anyRequests), text => {
      const head = orBad(() => parseRequestHead(firstHead(text)))
      if (head === undefined) return
      const written = formatHead(requestLine(head), head.fields).toString('latin1')
      assert.deepEqual(parseRequestHead(written), { ...head, minor: 1 })
      orBad(() => readDestination(head))
    }),
    RUNS
  )
  fc.assert(
    fc.property(mutated(anyAnswer), text => {
      const head = orBad(() => parseResponseHead(firstHead(text)))
      if (head === undefined) return
      const written = formatHead(statusLine(head), head.fields).toString('latin1')
      assert.deepEqual(parseResponseHead(written), { ...head, minor: 1 })
    }),
    RUNS
  )
})

test('property: a body that is written in chunks is read as it was', () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes)))
  const trailers = fc.array(fc.constantFrom(['X-A', 'b'], ['grpc-status', '0'], ['X-C', ''])).map(pairs => pairs.flat())
  fc.assert(
    fc.property(pieces, trailers, anyCuts, (body, fields, cuts) => {
      const head = formatHead('PUT / HTTP/1.1', ['Transfer-Encoding', 'chunked'])
      const bytes = Buffer.concat([head, ...body.flatMap(formatChunk), formatLastChunk(fields)])
      const [message, ...others] = readRequests(cutInto(bytes, cuts)).messages
      assert.equal(message?.body, Buffer.concat(body).toString('latin1'))
      assert.deepEqual(message?.trailers, fields)
      assert.equal(message?.isComplete, true)
      assert.deepEqual(others, [])
    })
  )
})

test('a head is not written with characters that would make it another one', () => {
  for (const text of ['a\r\nB: c', 'a\nb', 'a\rb', 'a\0', '\x7f', '\u010a', '\u{1f600}']) {
    assert.throws(() => formatHead('GET / HTTP/1.1', ['A', text]), TypeError, JSON.stringify(text))
    assert.throws(() => formatHead('GET / HTTP/1.1', [text, 'b']), TypeError, JSON.stringify(text))
    assert.throws(() => formatHead(text, []), TypeError, JSON.stringify(text))
  }
  assert.equal(
    formatHead('HTTP/1.1 200 OK', ['A', 'b\tc\xe4', 'D', '']).toString('latin1'),
    'HTTP/1.1 200 OK\r\nA: b\tc\xe4\r\nD: \r\n\r\n'
  )
})

function firstHead(text: string): string {
  return text.slice(0, text.indexOf('\r\n\r\n') + 4)
}

/** @returns undefined for a message that is refused */
function orBad<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    assert.ok(error instanceof BadMessageError)
    return undefined
  }
}
