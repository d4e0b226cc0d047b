import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GatheredPieces } from '../../src/values/gathered-pieces.js'

test('gathered pieces are the same bytes in the same order, however they came', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(20), fc.nat(20_000)), { maxLength: 60 }), lengths => {
      const pieces = lengths.map((length, index) => Buffer.alloc(length, index))
      const gathered = new GatheredPieces()
      for (const piece of pieces) gathered.add(piece)
      assert.equal(gathered.bytes, Buffer.concat(pieces).length)
      assert.deepEqual(Buffer.concat(gathered.all()), Buffer.concat(pieces))
      assert.deepEqual(Buffer.concat(gathered.take()), Buffer.concat(pieces))
      assert.deepEqual([gathered.bytes, gathered.take()], [0, []])
    })
  )
})

test('many small pieces are few when gathered', () => {
  const gathered = new GatheredPieces()
  for (let added = 0; added < 256 * 1024; added += 1) gathered.add(Buffer.of(added & 0xff))
  const all = gathered.take()
  assert.ok(all.length <= 16, `${all.length} pieces`)
  assert.ok(all.every((piece, index) => piece[0] === ((index * 16 * 1024) & 0xff)))
})
