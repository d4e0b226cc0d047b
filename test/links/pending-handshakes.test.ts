import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_HANDSHAKES, PendingHandshakes } from '../../src/links/upper/accepting/pending-handshakes.js'

/** Handshakes that go on for ever; each notes its source when it is ended. */
function start() {
  const clock = { ms: 0 }
  const handshakes = new PendingHandshakes(() => clock.ms)
  const ended: string[] = []
  const comes = (source: string): boolean => {
    if (!handshakes.hasRoom(source)) return false
    const end = () => void ended.push(source)
    handshakes.add({ terminate: end, close: end }, source)
    return true
  }
  return { clock, handshakes, ended, comes }
}

test('sources that crowd in share the slots; one that has none gets a slot at the cost of the largest', () => {
  const { ended, comes } = start()
  for (let index = 0; index < MAX_HANDSHAKES; index += 1) assert.ok(comes(index % 2 === 0 ? 'a' : 'b'))
  assert.equal(comes('a') || comes('b'), false, 'neither has fewer than the other')
  for (let index = 0; index < 100; index += 1) assert.ok(comes('honest'))
  assert.equal(ended.length, 100)
  assert.equal(ended.filter(source => source === 'a').length, 50)
  assert.equal(comes('a') || comes('b'), false)
})

test('where each source has one slot, a further source gets that of the oldest', () => {
  const { ended, comes } = start()
  for (let index = 0; index < MAX_HANDSHAKES; index += 1) assert.ok(comes(`source ${index}`))
  assert.ok(comes('another'))
  assert.deepEqual(ended, ['source 0'])
  assert.equal(comes('another'), false)
})

test('a source that has most of the slots gets another one once its oldest is slow; asking takes nobody a slot', () => {
  const { clock, handshakes, ended, comes } = start()
  for (let index = 0; index < MAX_HANDSHAKES; index += 1) assert.ok(comes('a'))
  assert.equal(comes('a'), false)
  assert.ok(handshakes.hasRoom('b') && handshakes.hasRoom('b'))
  assert.deepEqual(ended, [])
  clock.ms = 2_000
  assert.ok(comes('a'))
  assert.deepEqual(ended, ['a'])
})

test('a smaller bound is shared in the same way', () => {
  const { handshakes, ended, comes } = start()
  handshakes.max = 2
  assert.ok(comes('a') && comes('a'))
  assert.equal(comes('a'), false)
  assert.ok(comes('b'))
  assert.deepEqual(ended, ['a'])
})
