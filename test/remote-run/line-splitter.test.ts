import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { LineSplitter, MAX_LINE_BYTES } from '../../src/remote-run/execution/line-splitter.js'
import { anyText } from '../support/any-text.js'

function split(chunks: readonly Buffer[]): string {
  const splitter = new LineSplitter()
  return chunks.map(chunk => splitter.push(chunk)).join('') + splitter.end()
}

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const edges = [0, ...cuts.map(cut => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge))
}

test('any chunking of a text gives the text, in whole lines', () => {
  const text = fc.array(anyText({ maxLength: 20 })).map(lines => lines.join('\n'))
  fc.assert(
    fc.property(text, fc.array(fc.nat()), (whole, cuts) => {
      const splitter = new LineSplitter()
      const parts = cutAt(Buffer.from(whole), cuts).map(chunk => splitter.push(chunk))
      assert.ok(parts.every(part => part === '' || part.endsWith('\n')))
      assert.equal(parts.join('') + splitter.end(), Buffer.from(whole).toString())
    })
  )
})

test('any chunking of any bytes gives the same, also where lines are too long', () => {
  const bytes = fc
    .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.integer({ min: 1, max: 20_000 })), {
      maxLength: 5
    })
    .map(parts => Buffer.concat(parts.map(([unit, count]) => Buffer.alloc(unit.length * count, unit))))
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(), { maxLength: 20 }), (whole, cuts) => {
      assert.equal(split(cutAt(whole, cuts)), split([whole]))
    }),
    { numRuns: 60 }
  )
})

test('a line without an end is cut, at the edge of a character', () => {
  const splitter = new LineSplitter()
  const out = splitter.push(Buffer.from(`x${'é'.repeat(MAX_LINE_BYTES)}`))
  const lines = out.split('\n').slice(0, -1)
  assert.equal(lines.length, 2)
  assert.ok(lines.every(line => Buffer.byteLength(line) <= MAX_LINE_BYTES && !line.includes('\ufffd')))
  assert.equal(`${lines.join('')}${splitter.end()}`, `x${'é'.repeat(MAX_LINE_BYTES)}`)
})
