import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NODE_OUTCOMES, parseRunEvent, type RunEvent } from '../../src/values/runs/run-event.js'

const anyEvent: fc.Arbitrary<RunEvent> = fc.record(
  {
    seq: fc.maxSafeNat(),
    event: fc.constantFrom('start', 'output', 'node', 'error', 'alive', 'end'),
    run: fc.string(),
    node: fc.string(),
    relay: fc.string(),
    stream: fc.constantFrom('stdout', 'stderr'),
    data: fc.string(),
    outcome: fc.constantFrom(...NODE_OUTCOMES),
    exit_code: fc.integer(),
    duration_ms: fc.nat(),
    message: fc.string(),
    unreached: fc.record({ from: fc.string(), to: fc.string(), reason: fc.string() }, { noNullPrototype: true })
  },
  { requiredKeys: ['seq', 'event', 'run'] }
)

test('what is printed parses back', () => {
  fc.assert(fc.property(anyEvent, event => assert.deepEqual(parseRunEvent(JSON.stringify(event)), { ...event })))
})

test('anything else is no event, and throws nothing', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), line => {
      assert.equal(parseRunEvent(line), undefined)
    })
  )
})

test('members of the wrong type are left out', () => {
  const line =
    '{"seq":1,"event":"node","run":"R","node":7,"outcome":"fine","exit_code":"0","message":null,"more":1,"unreached":{"from":"a"}}'
  assert.deepEqual(parseRunEvent(line), { seq: 1, event: 'node', run: 'R' })
})
