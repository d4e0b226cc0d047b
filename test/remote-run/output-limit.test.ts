import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OutputLimit } from '../../src/remote-run/execution/output-limit.js'

/** @returns how many of `count` lines of one byte, each a piece, pass `limit`, and the messages about what is dropped */
function passLines(limit: OutputLimit, count: number): { kept: number; messages: string[] } {
  let kept = 0
  const messages: string[] = []
  for (let index = 0; index < count; index += 1) {
    const taken = limit.take('\n')
    if (taken.kept !== '') kept += 1
    if (taken.dropped !== undefined) messages.push(taken.dropped)
  }
  return { kept, messages }
}

test('output passes up to the limit, in whole lines, and what is dropped is told once', () => {
  const limit = new OutputLimit(10)
  assert.deepEqual(limit.take('one\n'), { kept: 'one\n' })
  assert.deepEqual(limit.take('two\nthree\n'), {
    kept: 'two\n',
    dropped: 'output beyond 10 bytes was dropped; see max_output'
  })
  assert.deepEqual(limit.take('x\n'), { kept: '' })
})

test('a megabyte of lines of one byte is no million events, and the message does not speak of bytes', () => {
  const { kept, messages } = passLines(new OutputLimit(1_048_576), 1_048_576)
  assert.ok(kept >= 16_384 && kept < 40_000, `${kept} events`)
  assert.equal(messages.length, 1)
  assert.match(messages[0] ?? '', /^output beyond \d+ small pieces was dropped/)
})

test('nodes that share a limit have the pieces of all of them', () => {
  const one = passLines(new OutputLimit(1_048_576), 200_000)
  const four = passLines(new OutputLimit(1_048_576, 4), 200_000)
  assert.ok(four.kept >= 4 * one.kept - 4 && four.kept <= 4 * one.kept + 4, `${four.kept} and ${one.kept}`)
  assert.match(new OutputLimit(10, 4).take('x'.repeat(41)).dropped ?? '', /^output beyond 40 bytes/)
})

test('short lines that come together count by their bytes', () => {
  const limit = new OutputLimit(1_048_576)
  for (let index = 0; index < 16; index += 1) assert.equal(limit.take('\n'.repeat(65_536)).kept.length, 65_536)
})
