import { ROOT_ID } from '../../values/ids.js'
import type { NumberedNodes } from './numbered-nodes.js'

/** Next hops in {@link PackedTree.directory} that are no slot. */
export const HERE = -1
export const OUTSIDE = -2

/** Numbers per place of {@link PackedTree.directory}. */
export const PLACE_SIZE = 4

/** The value of {@link PackedTree.selfSlot} when neither the relay nor any node below it is in the list. */
export const NO_SLOT = -1

/**
 * A tree as arrays of numbers and bytes: built by a worker and handed over whole, without a copy and without an
 * object per node.
 *
 * A node's *slot* is its place in a walk of the tree that visits every node before those below it (preorder), so that
 * all nodes below one are a range of slots. Policy servers that are named by the list and not in it have slots as
 * well, from `nodeCount` on, and nothing but an id.
 */
export interface PackedTree {
  readonly nodeCount: number
  readonly selfSlot: number
  /** Ids, host names and key hashes, in ASCII. */
  readonly text: Uint8Array<ArrayBuffer>
  /** The beginning in `text` of each slot's id, and one more: where the last ends. */
  readonly idStart: Uint32Array<ArrayBuffer>
  readonly hostnameStart: Uint32Array<ArrayBuffer>
  readonly keyHashStart: Uint32Array<ArrayBuffer>
  /** The slot of each node's policy server. */
  readonly parent: Int32Array<ArrayBuffer>
  /** The range of slots below each slot. */
  readonly belowStart: Int32Array<ArrayBuffer>
  readonly belowEnd: Int32Array<ArrayBuffer>
  /** The slots of the nodes in the order of their ids. */
  readonly byId: Int32Array<ArrayBuffer>
  /**
   * The data of a look-up by id, all in one place of memory. A hash table like `IdTable`, of {@link PLACE_SIZE}
   * numbers a place: slot + 1 (0 where nothing is), where in `text` the id begins and ends, and the next hop: the
   * slot of the sub-relay that the node is below, or {@link HERE} or {@link OUTSIDE}.
   */
  readonly directory: Int32Array<ArrayBuffer>
}

/**
 * @param numbered all texts in ASCII
 * @throws {Error} when policy servers form a cycle (a list that was checked has none)
 */
export function packTree(numbered: NumberedNodes, selfId: string): PackedTree {
  const { nodes, ids, parents } = numbered
  const { order, slotOf, belowStart, belowEnd } = walk(parents, nodes.length, ids.length)
  const parent = new Int32Array(nodes.length)
  for (let slot = 0; slot < nodes.length; slot++) parent[slot] = at(slotOf, at(parents, at(order, slot)))
  const selfNumber = ids.indexOf(selfId)
  const selfSlot = selfNumber < 0 ? NO_SLOT : at(slotOf, selfNumber)
  const texts = packText(numbered, order)
  const nextHop = planHops(selfSlot, nodes.length, belowStart, belowEnd, selfId === ROOT_ID)
  return {
    nodeCount: nodes.length,
    selfSlot,
    ...texts,
    parent,
    belowStart,
    belowEnd,
    byId: sortById(numbered, slotOf),
    directory: packDirectory(numbered.table.places(), slotOf, texts.idStart, nextHop)
  }
}

/** Gives every node its slot, and every slot the range of slots below it. */
function walk(parents: Int32Array, nodeCount: number, idCount: number) {
  const { first, next } = linkChildren(parents, nodeCount, idCount)
  const order = new Int32Array(idCount)
  const slotOf = new Int32Array(idCount).fill(NO_SLOT)
  const belowStart = new Int32Array(idCount)
  const belowEnd = new Int32Array(idCount)
  let slot = 0

  const enter = (number: number): void => {
    const own = number < nodeCount ? slot++ : number
    slotOf[number] = own
    order[own] = number
    belowStart[own] = slot
  }
  const walkFrom = (top: number): void => {
    const path = [top]
    enter(top)
    for (let number = path.at(-1); number !== undefined; number = path.at(-1)) {
      const child = at(first, number)
      if (child === NO_SLOT) {
        belowEnd[at(slotOf, number)] = slot
        path.pop()
      } else {
        first[number] = at(next, child)
        enter(child)
        path.push(child)
      }
    }
  }

  for (let number = 0; number < nodeCount; number++) if (at(parents, number) === number) walkFrom(number)
  for (let number = nodeCount; number < idCount; number++) walkFrom(number)
  if (slot !== nodeCount) throw new Error(`${nodeCount - slot} nodes have policy servers that form a cycle`)
  return { order, slotOf, belowStart, belowEnd }
}

/** Lists of children: the first of each, and from there the next, in the order of the nodes. */
function linkChildren(parents: Int32Array, nodeCount: number, idCount: number) {
  const first = new Int32Array(idCount).fill(NO_SLOT)
  const next = new Int32Array(nodeCount).fill(NO_SLOT)
  for (let number = nodeCount - 1; number >= 0; number--) {
    const parent = at(parents, number)
    if (parent === number) continue
    next[number] = at(first, parent)
    first[parent] = number
  }
  return { first, next }
}

function planHops(self: number, nodeCount: number, start: Int32Array, end: Int32Array, isRoot: boolean) {
  const nextHop = new Int32Array(nodeCount).fill(OUTSIDE)
  if (self === NO_SLOT) return nextHop
  if (isRoot && self < nodeCount) nextHop[self] = HERE
  for (let child = at(start, self); child < at(end, self); child = at(end, child)) {
    nextHop[child] = HERE
    nextHop.fill(child, child + 1, at(end, child))
  }
  return nextHop
}

function packText({ nodes, ids }: NumberedNodes, order: Int32Array) {
  const parts: string[] = []
  let length = 0
  const pack = (count: number, textOf: (number: number) => string): Uint32Array<ArrayBuffer> => {
    const starts = new Uint32Array(count + 1)
    const texts: string[] = []
    for (let slot = 0; slot < count; slot++) {
      const text = textOf(at(order, slot))
      starts[slot] = length
      length += text.length
      texts.push(text)
    }
    starts[count] = length
    // one long text is written to memory far faster than many short ones
    parts.push(texts.join(''))
    return starts
  }
  const idStart = pack(ids.length, number => ids[number] ?? '')
  const hostnameStart = pack(nodes.length, number => nodes[number]?.hostname ?? '')
  const keyHashStart = pack(nodes.length, number => nodes[number]?.keyHash ?? '')
  const buffer = new ArrayBuffer(length)
  let offset = 0
  for (const part of parts) offset += Buffer.from(buffer).write(part, offset, 'latin1')
  return { text: new Uint8Array(buffer), idStart, hostnameStart, keyHashStart }
}

function sortById({ nodes, ids, table }: NumberedNodes, slotOf: Int32Array): Int32Array<ArrayBuffer> {
  const sorted = ids.slice(0, nodes.length).sort()
  return Int32Array.from(sorted, id => at(slotOf, table.put(id)))
}

function packDirectory(places: Int32Array, slotOf: Int32Array, idStart: Uint32Array, nextHop: Int32Array) {
  const directory = new Int32Array(places.length * PLACE_SIZE)
  for (let place = 0; place < places.length; place++) {
    const entry = at(places, place)
    if (entry === 0) continue
    const slot = at(slotOf, entry - 1)
    const offset = place * PLACE_SIZE
    directory[offset] = slot + 1
    directory[offset + 1] = at(idStart, slot)
    directory[offset + 2] = at(idStart, slot + 1)
    directory[offset + 3] = slot < nextHop.length ? at(nextHop, slot) : OUTSIDE
  }
  return directory
}

/** An element that is known to be there. */
function at(array: Int32Array | Uint32Array, index: number): number {
  return array[index] ?? NO_SLOT
}
