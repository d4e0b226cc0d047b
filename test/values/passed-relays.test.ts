import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RelayError } from '../../src/values/failures/relay-error.js'
import { formatPassed, MAX_PASSED_RELAYS, parsePassed, passOn } from '../../src/values/passed-relays.js'
import { anyText } from '../support/any-text.js'

const nodeId = fc.stringMatching(/^[A-Za-z0-9_-]{1,128}$/)

test('an absent or empty header is no relay', () => {
  for (const header of [undefined, '', ' ']) assert.deepEqual(parsePassed(header), [])
})

test('what is printed parses back', () => {
  assert.deepEqual(parsePassed('root, relay-1 ,relay-2'), ['root', 'relay-1', 'relay-2'])
  fc.assert(
    fc.property(fc.array(nodeId, { maxLength: MAX_PASSED_RELAYS }), ids => {
      assert.deepEqual(parsePassed(formatPassed(ids)), ids)
    })
  )
})

test('a relay that finds itself in the list refuses the request', () => {
  assert.deepEqual(passOn(['a', 'b'], 'c'), ['a', 'b', 'c'])
  assert.throws(() => passOn(['a', 'b'], 'a'), { code: 'LOOP_DETECTED', message: /came back to a: a > b > a/ })
})

test('the 40th relay passes a request on, and the 41st refuses it', () => {
  const forty = Array.from({ length: MAX_PASSED_RELAYS }, (_, index) => `relay-${index}`)
  assert.deepEqual(passOn(forty.slice(0, 39), 'relay-39'), forty)
  assert.throws(() => passOn(forty, 'self'), { code: 'LOOP_DETECTED' })
  assert.throws(() => parsePassed([...forty, 'self'].join(',')), { code: 'LOOP_DETECTED' })
  assert.throws(() => parsePassed('a'.repeat(100_000)), { code: 'LOOP_DETECTED' })
})

test('no header makes the parser throw anything but its own error', () => {
  assert.throws(() => parsePassed('a,,b'), { code: 'INVALID_INPUT' })
  fc.assert(
    fc.property(anyText(), header => {
      try {
        parsePassed(header)
      } catch (error) {
        if (!(error instanceof RelayError)) throw error
      }
    })
  )
})
