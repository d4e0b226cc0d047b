import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatJoinToken, formatTokenProof, parseJoinToken, parseTokenProof } from '../../src/keys/tokens/join-token.js'

const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(array => Buffer.from(array))
const token = fc.record(
  { id: fc.stringMatching(/^[\w-]{12}$/), secret: bytes, caHash: bytes },
  { noNullPrototype: true }
)

test('a token that was printed parses back', () => {
  fc.assert(
    fc.property(token, made => {
      assert.deepEqual(parseJoinToken(formatJoinToken(made)), made)
      const { id, secret } = made
      assert.deepEqual(parseTokenProof(formatTokenProof(made)), { id, secret })
    })
  )
})

test('what was cut off, or had a letter changed, is not the same token', () => {
  fc.assert(
    fc.property(token, fc.nat(), fc.stringMatching(/^[\w.-]$/), (made, place, letter) => {
      const text = formatJoinToken(made)
      const at = place % text.length
      assert.equal(parseJoinToken(text.slice(0, at)), undefined)
      const changed = text.slice(0, at) + letter + text.slice(at + 1)
      if (changed !== text) assert.notDeepEqual(parseJoinToken(changed), made)
    })
  )
})

test('any text at all is read without an exception', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), text => {
      parseJoinToken(text)
      parseTokenProof(text)
    })
  )
})
