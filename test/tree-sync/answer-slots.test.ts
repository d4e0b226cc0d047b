import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import {
  AnswerSlots,
  MAX_ANSWERS,
  MAX_ANSWERS_TO_ADMINISTRATORS,
  STALLED_ANSWER_MS
} from '../../src/tree-sync/answer-slots.js'

const pieces = () => Readable.from([Buffer.from('a tree')])

/** A tree of 100 MiB, of which a reader holds no more than it takes. */
async function* longTree(): AsyncGenerator<Buffer> {
  for (let piece = 0; piece < 1_600; piece++) yield Buffer.alloc(64 * 1024)
}

test('relays beyond the slots wait for one, administrators have slots of their own', async () => {
  const slots = new AnswerSlots()
  const byAdministrators = Array.from({ length: MAX_ANSWERS_TO_ADMINISTRATORS }, () => slots.send(undefined, pieces()))
  assert.throws(() => slots.check(undefined), { code: 'BUSY' })
  const byRelays = Array.from({ length: MAX_ANSWERS }, (_, index) => slots.send(`relay${index}`, pieces()))
  assert.throws(() => slots.send('another', pieces()), { code: 'BUSY' })
  assert.doesNotThrow(() => slots.check('relay3'), 'a relay that has a slot may ask again')
  for (const body of [byRelays[3], byAdministrators[0]]) {
    assert.ok(body !== undefined)
    body.destroy() // nothing of it was read
    await once(body, 'close')
  }
  for (const asker of ['another', undefined]) {
    const body = slots.send(asker, pieces())
    assert.equal((await body.toArray()).join(''), 'a tree')
  }
  assert.doesNotThrow(() => slots.check('relay3'), 'an answer that was read gives its slot back')
})

test('a former answer that ends late leaves the slot of its successor alone', async () => {
  const slots = new AnswerSlots()
  const former = slots.send('relay', pieces())
  const present = slots.send('relay', pieces())
  await assert.rejects(once(former, 'close'), { code: 'BUSY' })
  const next = slots.send('relay', pieces())
  assert.ok(former.closed && present.destroyed)
  assert.equal((await next.toArray()).join(''), 'a tree')
})

test('an answer that nobody reads for a while yields its slot, one that is read does not', async () => {
  let nowMs = 0
  const slots = new AnswerSlots(() => nowMs)
  const many = Array.from({ length: MAX_ANSWERS }, (_, index) => slots.send(`relay${index}`, longTree()))
  const [first, second] = many
  assert.ok(first !== undefined && second !== undefined)
  nowMs = 110_000 // 1.6 MB, which the system has taken at once, at 15 kB a second
  assert.throws(() => slots.check('another'), { code: 'BUSY' })
  nowMs = STALLED_ANSWER_MS - 1
  for (const body of many.slice(2)) await once(body, 'readable')
  first.read()
  await once(first, 'readable')
  assert.throws(() => slots.check('another'), { code: 'BUSY' })

  nowMs = STALLED_ANSWER_MS
  const ended = once(second, 'close')
  const body = slots.send('another', pieces())
  await assert.rejects(ended, { code: 'BUSY', message: /of which nothing was read for a while$/ })
  assert.equal((await body.toArray()).join(''), 'a tree')
  assert.ok(!first.destroyed)
})

test('all answers end together, whether they are read or not', async () => {
  const slots = new AnswerSlots()
  const bodies = [slots.send('relay', longTree()), slots.send(undefined, longTree())]
  assert.deepEqual(slots.endAll(new Error('changed')), ['relay'])
  for (const body of bodies) assert.equal(body.errored?.message, 'changed')
})
