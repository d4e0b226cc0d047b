import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isIsoTime, isoTime } from '../../src/values/time/iso-time.js'

test('property: every time that a Date can hold is written so that it reads back', () => {
  fc.assert(
    fc.property(fc.integer({ min: -8.64e15, max: 8.64e15 }), ms => {
      const text = isoTime(ms)
      assert.ok(isIsoTime(text), text)
      assert.equal(Date.parse(text), ms)
    })
  )
})

test('other forms of time are none, as what a neighbour says may be anything', () => {
  const others = [
    0,
    null,
    '',
    'now',
    '2026-01-31',
    '2026-01-31 12:00:00Z',
    '2026-01-31T12:00:00+01:00',
    '2026-13-31T12:00:00Z'
  ]
  for (const other of [...others, '2026-01-31T12:00:00Z\u001b[2J']) assert.equal(isIsoTime(other), false, String(other))
})
