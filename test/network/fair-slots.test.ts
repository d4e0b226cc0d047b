import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Standing } from '../../src/network/caller.js'
import { FairSlots, type ReleaseSlot } from '../../src/network/sources/fair-slots.js'

function takeAll(slots: FairSlots, source: string, standing: Standing = 'stranger'): ReleaseSlot[] {
  const taken: ReleaseSlot[] = []
  for (let slot = slots.take(source, standing); slot !== undefined; slot = slots.take(source, standing)) {
    taken.push(slot)
  }
  return taken
}

test('a source alone gets half of what is not reserved, the next one half of the rest, and trusted callers all of it', () => {
  const slots = new FairSlots(512)
  assert.equal(takeAll(slots, '192.0.2.1').length, 192)
  assert.equal(takeAll(slots, '192.0.2.2').length, 96)
  assert.ok(slots.take('192.0.2.3', 'stranger') !== undefined)
  assert.equal(takeAll(slots, 'local', 'trusted').length, 512 - 192 - 96 - 1)
  assert.equal(slots.take('local', 'trusted'), undefined)
  assert.equal(slots.take('192.0.2.4', 'stranger'), undefined)
})

test('a slot that is given back twice is free once', () => {
  const slots = new FairSlots(1)
  const release = slots.take('192.0.2.1', 'stranger')
  release?.()
  release?.()
  assert.equal(slots.held, 0)
  assert.equal(takeAll(slots, '192.0.2.1').length, 1)
})

test('property: never more than there are; a trusted caller gets one as long as one is free; a source without one gets one, too, while strangers have left some', () => {
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
        const release = slots.take(String(source), isKnown ? 'trusted' : 'stranger')
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
  const take = (source: string, name: string) => slots.take(source, 'stranger', () => evicted.push(name))
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

test('property: where work can be ended, a source without a slot always gets one, and no slot of a trusted caller or of its own is taken for it', () => {
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
        one.release = slots.take(String(source), isKnown ? 'trusted' : 'stranger', () => {
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

test('neighbours share what strangers have left, a relay by halves, a node by eighths; a sixteenth is for trusted callers', () => {
  const slots = new FairSlots(512)
  assert.equal(takeAll(slots, 'relay-a', 'relay').length, 240)
  assert.equal(takeAll(slots, 'node-a', 'node').length, 72, 'what a stranger would get')
  for (let source = 0; slots.take(`192.0.2.${source}`, 'stranger') !== undefined; source += 1);
  assert.equal(slots.held, 384)
  assert.equal(takeAll(slots, 'node-b', 'node').length, 11)
  assert.equal(takeAll(slots, 'node-a', 'node').length, 0)
  assert.equal(takeAll(slots, 'relay-b', 'relay').length, 43)
  for (let id = 0; slots.take(`relay-of-${id}`, 'relay') !== undefined; id += 1);
  assert.equal(slots.held, 480)
  assert.equal(slots.take('node-c', 'node'), undefined)
  assert.equal(takeAll(slots, 'local', 'trusted').length, 32)
})

test('neighbours yield slots to each other where work can be ended, never to strangers; a node gets no more than one so', () => {
  const slots = new FairSlots(32)
  const evicted: string[] = []
  const fill = (source: string, standing: Standing, most = 32) => {
    let count = 0
    while (count < most && slots.take(source, standing, () => evicted.push(source)) !== undefined) count += 1
    return count
  }
  for (let id = 0; slots.held < 30; id += 1) fill(`relay-${id}`, 'relay', Math.min(3, 30 - slots.held))
  assert.deepEqual(evicted, [])
  assert.equal(fill('192.0.2.1', 'stranger'), 0)
  assert.equal(fill('node-a', 'node'), 1)
  assert.deepEqual(evicted, ['relay-0'])
  assert.equal(fill('relay-late', 'relay'), 2, 'one less than the others')
  assert.equal(slots.held, 30, 'two are for trusted callers')
})
