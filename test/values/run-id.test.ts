import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { firstRunId, isRunId, makeRunId, partRunId, runIdTimeMs } from '../../src/values/runs/run-id.js'
import { anyText } from '../support/any-text.js'

test('run ids are ULIDs, each greater than the one before, and tell when they were made', () => {
  const nowMs = Date.UTC(2030, 0, 1)
  const ids = Array.from({ length: 1_000 }, () => makeRunId(nowMs))
  assert.ok(ids.every(isRunId))
  assert.deepEqual([...new Set(ids)].sort(), ids)
  assert.equal(runIdTimeMs(ids[0] ?? ''), nowMs)
})

test('other spellings and other texts are no run ids', () => {
  const id = makeRunId()
  const texts = [
    '',
    id.toLowerCase(),
    `${id}0`,
    id.slice(1),
    `${id.slice(0, 25)}U`,
    `8${id.slice(1)}`,
    `${id}\n`,
    '../x'
  ]
  for (const text of texts) {
    assert.equal(isRunId(text), false, text)
    assert.throws(() => runIdTimeMs(text), { name: 'RelayError', code: 'INVALID_INPUT' })
  }
})

test('whatever counts as a run id has a time', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ulid(), anyText()), text => {
      if (isRunId(text)) assert.ok(runIdTimeMs(text) >= 0)
    })
  )
})

test('the parts of a run have ids of its time, the same ones each time, and no two the same', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 47 }), nowMs => {
      const run = makeRunId(nowMs)
      const parts = Array.from({ length: 20 }, (_, index) => partRunId(run, index + 1))
      assert.ok(parts.every(isRunId))
      assert.ok(parts.every(id => runIdTimeMs(id) === runIdTimeMs(run)))
      assert.equal(new Set([run, ...parts]).size, 21)
      assert.deepEqual(
        parts,
        parts.map((_, index) => partRunId(run, index + 1))
      )
    })
  )
})

test('after the clock was set back new ids have the new time, and are still different ones', () => {
  const nowMs = 1_700_000_000_000
  const before = makeRunId(nowMs)
  const after = [makeRunId(nowMs - 600_000), makeRunId(nowMs - 600_000), makeRunId(nowMs)]
  assert.deepEqual(after.map(runIdTimeMs), [nowMs - 600_000, nowMs - 600_000, nowMs])
  assert.equal(new Set([before, ...after]).size, 4)
})

test('the least id of a time is less than all ids of it, and greater than all before', () => {
  const nowMs = 1_700_000_000_000
  assert.ok(firstRunId(nowMs) <= makeRunId(nowMs))
  assert.ok(firstRunId(nowMs) > makeRunId(nowMs - 1))
  assert.equal(runIdTimeMs(firstRunId(nowMs)), nowMs)
})
