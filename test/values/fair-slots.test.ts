import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FairSlots, type ReleaseSlot } from '../../src/values/fair-slots.js'

function takeAll(slots: FairSlots, source: string, isKnown = false): ReleaseSlot[] {
  const taken: ReleaseSlot[] = []
  for (let slot = slots.take(source, isKnown); slot !== undefined; slot = slots.take(source, isKnown)) taken.push(slot)
  return taken
}

test('a source alone gets half of what is not reserved, the next one half of the rest, and known callers all of it', () => {
  const slots = new FairSlots(512)
  assert.equal(takeAll(slots, '192.0.2.1').length, 192)
  assert.equal(takeAll(slots, '192.0.2.2').length, 96)
  assert.ok(slots.take('192.0.2.3', false) !== undefined)
  assert.equal(takeAll(slots, 'relay-a', true).length, 512 - 192 - 96 - 1)
  assert.equal(slots.take('relay-a', true), undefined)
  assert.equal(slots.take('192.0.2.4', false), undefined)
})

test('a slot that is given back twice is free once', () => {
  const slots = new FairSlots(1)
  const release = slots.take('192.0.2.1', false)
  release?.()
  release?.()
  assert.equal(slots.held, 0)
  assert.equal(takeAll(slots, '192.0.2.1').length, 1)
})

test('property: never more than there are; a known caller gets one as long as one is free; a source without one gets one, too, while strangers have left some', () => {
  const step = fc.record({ source: fc.nat(5), isKnown: fc.boolean(), gives: fc.boolean() })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.array(step, { maxLength: 200 }), (capacity, steps) => {
      const slots = new FairSlots(capacity)
      const held: { source: number; isKnown: boolean; release: ReleaseSlot }[] = []
      for (const { source, isKnown, gives } of steps) {
        if (gives) {
          held.pop()?.release()
          continue
        }
        const free = capacity - held.length
        const hasNone = !held.some(one => !one.isKnown && one.source === source)
        const release = slots.take(String(source), isKnown)
        if (isKnown) assert.equal(release !== undefined, free > 0)
        else if (hasNone) assert.equal(release !== undefined, free > Math.floor(capacity / 4))
        if (release !== undefined) held.push({ source, isKnown, release })
        assert.equal(slots.held, held.length)
      }
      for (const { release } of held) release()
      assert.equal(slots.held, 0)
    })
  )
})

test('where all that strangers may have is taken, the source with the most yields its oldest slot to one that has fewer', () => {
  const slots = new FairSlots(32)
  const evicted: string[] = []
  const take = (source: string, name: string) => slots.take(source, false, () => evicted.push(name))
  for (const source of ['a', 'b', 'c', 'd', 'e']) {
    for (let count = 0; take(source, `${source}${count}`) !== undefined; count++);
  }
  assert.equal(slots.held, 24)
  evicted.length = 0
  const late = take('late', 'late0')
  assert.ok(late !== undefined)
  assert.equal(evicted.length, 1)
  late()
  assert.equal(slots.held, 23)
})

test('property: where work can be ended, a source without a slot always gets one, and no slot of a known caller or of its own is taken for it', () => {
  const step = fc.record({ source: fc.nat(9), isKnown: fc.boolean(), gives: fc.boolean() })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.array(step, { maxLength: 200 }), (capacity, steps) => {
      const slots = new FairSlots(capacity)
      const held = new Set<{ source: number; isKnown: boolean; release?: ReleaseSlot | undefined }>()
      for (const { source, isKnown, gives } of steps) {
        const [first] = held
        if (gives && first !== undefined) {
          first.release?.()
          held.delete(first)
          continue
        }
        const strangers = [...held].filter(one => !one.isKnown)
        const hasNone = !strangers.some(one => one.source === source)
        const one: { source: number; isKnown: boolean; release?: ReleaseSlot | undefined } = { source, isKnown }
        one.release = slots.take(String(source), isKnown, () => {
          assert.ok(!one.isKnown)
          held.delete(one)
        })
        if (!isKnown && hasNone && (strangers.length > 0 || held.size < capacity - Math.floor(capacity / 4))) {
          assert.ok(one.release !== undefined)
        }
        if (one.release !== undefined) held.add(one)
        assert.equal(slots.held, held.size)
        assert.ok(held.size <= capacity)
      }
    })
  )
})
