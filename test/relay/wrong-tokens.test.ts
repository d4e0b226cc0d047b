import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_WRONG_TOKENS, WrongTokens } from '../../src/relay/services/wrong-tokens.js'

test('a source that guesses has to wait; one with the same wrong token has not, and neither have others', () => {
  let nowMs = 0
  const wrong = new WrongTokens(() => nowMs)
  for (let times = 0; times < 2 * MAX_WRONG_TOKENS; times += 1) wrong.count('removed', 'the same')
  assert.equal(wrong.waitMs('removed'), 0)
  for (let times = 0; times < MAX_WRONG_TOKENS; times += 1) {
    assert.equal(wrong.waitMs('guesser'), 0)
    wrong.count('guesser', `guess ${times}`)
  }
  nowMs = 20_000
  assert.equal(wrong.waitMs('guesser'), 40_000)
  assert.equal(wrong.waitMs('other'), 0)
  nowMs = 60_000
  assert.equal(wrong.waitMs('guesser'), 0)
})
