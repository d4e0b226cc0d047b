import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OutputLimit } from '../../src/remote-run/commands/output-limit.js'

test('output passes up to the limit, in whole lines, and what is dropped is told once', () => {
  const limit = new OutputLimit(10)
  assert.deepEqual(limit.take('one\n'), { kept: 'one\n', justExceeded: false })
  assert.deepEqual(limit.take('two\nthree\n'), { kept: 'two\n', justExceeded: true })
  assert.deepEqual(limit.take('x\n'), { kept: '', justExceeded: false })
})

test('a megabyte of lines of one byte is no million events', () => {
  const limit = new OutputLimit(1_048_576)
  let kept = 0
  for (let index = 0; index < 1_048_576; index += 1) if (limit.take('\n').kept !== '') kept += 1
  assert.ok(kept >= 16_384 && kept < 40_000, `${kept} events`)
})

test('short lines that come together count by their bytes', () => {
  const limit = new OutputLimit(1_048_576)
  for (let index = 0; index < 16; index += 1) assert.equal(limit.take('\n'.repeat(65_536)).kept.length, 65_536)
})
