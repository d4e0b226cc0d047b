import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import {
  AnswerPlaces,
  MAX_ANSWERS,
  MAX_ANSWERS_TO_ADMINISTRATORS,
  STALLED_ANSWER_MS
} from '../../src/tree-sync/answer-places.js'

const pieces = () => Readable.from([Buffer.from('a tree')])

/** A tree of 100 MiB, of which a reader holds no more than it takes. */
async function* longTree(): AsyncGenerator<Buffer> {
  for (let piece = 0; piece < 1_600; piece++) yield Buffer.alloc(64 * 1024)
}

test('relays beyond the places wait for one, administrators have places of their own', async () => {
  const places = new AnswerPlaces()
  const byAdministrators = Array.from({ length: MAX_ANSWERS_TO_ADMINISTRATORS }, () => places.send(undefined, pieces()))
  assert.throws(() => places.check(undefined), { code: 'BUSY' })
  const byRelays = Array.from({ length: MAX_ANSWERS }, (_, index) => places.send(`relay${index}`, pieces()))
  assert.throws(() => places.send('another', pieces()), { code: 'BUSY' })
  assert.doesNotThrow(() => places.check('relay3'), 'a relay that has a place may ask again')
  for (const body of [byRelays[3], byAdministrators[0]]) {
    assert.ok(body !== undefined)
    body.destroy() // nothing of it was read
    await once(body, 'close')
  }
  for (const asker of ['another', undefined]) {
    const body = places.send(asker, pieces())
    assert.equal((await body.toArray()).join(''), 'a tree')
  }
  assert.doesNotThrow(() => places.check('relay3'), 'an answer that was read gives its place back')
})

test('a former answer that ends late leaves the place of its successor alone', async () => {
  const places = new AnswerPlaces()
  const former = places.send('relay', pieces())
  const present = places.send('relay', pieces())
  await assert.rejects(once(former, 'close'), { code: 'BUSY' })
  const next = places.send('relay', pieces())
  assert.ok(former.closed && present.destroyed)
  assert.equal((await next.toArray()).join(''), 'a tree')
})

test('an answer that nobody reads for a while yields its place, one that is read does not', async () => {
  let nowMs = 0
  const places = new AnswerPlaces(() => nowMs)
  const many = Array.from({ length: MAX_ANSWERS }, (_, index) => places.send(`relay${index}`, longTree()))
  const [first, second] = many
  assert.ok(first !== undefined && second !== undefined)
  nowMs = 110_000 // 1.6 MB, which the system has taken at once, at 15 kB a second
  assert.throws(() => places.check('another'), { code: 'BUSY' })
  nowMs = STALLED_ANSWER_MS - 1
  for (const body of many.slice(2)) await once(body, 'readable')
  first.read()
  await once(first, 'readable')
  assert.throws(() => places.check('another'), { code: 'BUSY' })

  nowMs = STALLED_ANSWER_MS
  const ended = once(second, 'close')
  const body = places.send('another', pieces())
  await assert.rejects(ended, { code: 'BUSY', message: /of which nothing was read for a while$/ })
  assert.equal((await body.toArray()).join(''), 'a tree')
  assert.ok(!first.destroyed)
})

test('all answers end together, whether they are read or not', async () => {
  const places = new AnswerPlaces()
  const bodies = [places.send('relay', longTree()), places.send(undefined, longTree())]
  assert.deepEqual(places.endAll(new Error('changed')), ['relay'])
  for (const body of bodies) assert.equal(body.errored?.message, 'changed')
})
