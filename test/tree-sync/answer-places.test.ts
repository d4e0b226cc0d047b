import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { AnswerPlaces, MAX_ANSWERS, MAX_ANSWERS_TO_ADMINISTRATORS } from '../../src/tree-sync/answer-places.js'

const pieces = () => Readable.from([Buffer.from('a tree')])

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
