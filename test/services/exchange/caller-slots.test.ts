import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CallerSlot, CallerSlots } from '../../../src/services/entry/caller-slots.js'

/** Slots for `max` connections, and the names of those that were closed to make room. */
function slotsFor(max: number) {
  let taken = 0
  const closed: string[] = []
  const slots = new CallerSlots({
    hasRoom: () => taken < max,
    take: () => {
      taken += 1
    },
    giveBack: () => {
      taken -= 1
    }
  })
  const slotOf = (source: string, name: string): CallerSlot => ({ source, close: () => closed.push(name) })
  return { slots, closed, slotOf, taken: () => taken }
}

test('an unused connection of the source with the most makes room', () => {
  const { slots, closed, slotOf } = slotsFor(3)
  const used = slotOf('a', 'used')
  assert.ok(slots.enter(used))
  slots.use(used, true)
  for (const name of ['first', 'second']) assert.ok(slots.enter(slotOf('a', name)))
  assert.ok(slots.enter(slotOf('b', 'other')))
  assert.deepEqual(closed, ['first'])
})

test('where all are in use, the source with the most gives way to one with at least two fewer, and to no other', () => {
  const { slots, closed, slotOf, taken } = slotsFor(3)
  for (const name of ['1', '2', '3']) {
    const slot = slotOf('a', name)
    assert.ok(slots.enter(slot))
    slots.use(slot, true)
  }
  assert.equal(slots.enter(slotOf('a', '4')), false)
  const other = slotOf('b', 'other')
  assert.ok(slots.enter(other))
  slots.use(other, true)
  assert.equal(slots.enter(slotOf('b', 'second')), false)
  assert.deepEqual([closed, taken()], [['1'], 3])
})

test('a connection that made room gives its slot back once, and counts as unused no more', () => {
  const { slots, closed, slotOf, taken } = slotsFor(1)
  const first = slotOf('a', 'first')
  slots.enter(first)
  slots.enter(slotOf('b', 'second'))
  slots.leave(first)
  slots.use(first, false)
  slots.enter(slotOf('c', 'third'))
  assert.deepEqual([closed, taken()], [['first', 'second'], 1])
})
