import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { responseChunks, responseLines } from '../../src/remote-run/dispatch/response-lines.js'
import { LineSplitter } from '../../src/remote-run/execution/line-splitter.js'

const LINE = '{"seq":1,"event":"alive","run":""}'
const never = new AbortController().signal

test('others have their turn while the lines of a neighbour are read, however many came at once', async () => {
  const body = Readable.from([Buffer.from(`${LINE}\n`.repeat(300_000))])
  let turns = 0
  let isDone = false
  const countTurns = () => {
    turns += 1
    if (!isDone) setImmediate(countTurns)
  }
  setImmediate(countTurns)
  let lines = 0
  for await (const line of responseLines(responseChunks(body, 0, never))) if (line === LINE) lines += 1
  isDone = true
  assert.equal(lines, 300_000)
  assert.ok(turns > 5, `${turns} turns`)
})

test('others have their turn while short pieces are read, and a line of many pieces comes whole', async () => {
  const letters = Array.from({ length: 100_000 }, (_, index) => Buffer.from([0x61 + (index % 26)]))
  const body = Readable.from([...letters, Buffer.from('\nrest')])
  let turns = 0
  let isDone = false
  const countTurns = () => {
    turns += 1
    if (!isDone) setImmediate(countTurns)
  }
  setImmediate(countTurns)
  const lines: string[] = []
  for await (const line of responseLines(responseChunks(body, 0, never))) lines.push(line)
  isDone = true
  assert.deepEqual(lines, [Buffer.concat(letters).toString()])
  assert.ok(turns > 5, `${turns} turns`)
})

test('a line of output in many pieces is put together whole', () => {
  const splitter = new LineSplitter()
  for (let index = 0; index < 1_000; index += 1) assert.equal(splitter.push(Buffer.from('ab')), '')
  assert.equal(splitter.push(Buffer.from('c\nd')), `${'ab'.repeat(1_000)}c\n`)
  for (let index = 0; index < 600; index += 1) assert.equal(splitter.push(Buffer.from('e')), '')
  assert.equal(splitter.end(), `d${'e'.repeat(600)}`)
})
