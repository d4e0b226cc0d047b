import { ROOT_ID } from '../../values/ids.js'
import type { NumberedNodes } from './numbered-nodes.js'

/** Next hops in {@link PackedTree.directory} that are no position. */
export const HERE = -1
export const OUTSIDE = -2

/** Numbers per bucket of {@link PackedTree.directory}. */
export const BUCKET_SIZE = 4

/** The value of {@link PackedTree.selfPosition} when neither the relay nor any node below it is in the list. */
export const NO_POSITION = -1

/**
 * A tree as arrays of numbers and bytes: built by a worker and handed over whole, without a copy and without an
 * object per node.
 *
 * A node's *position* is that in a walk of the tree which visits every node before those below it (preorder), so that
 * all nodes below one are a range of positions. Policy servers that are named by the list and not in it have positions as
 * well, from `nodeCount` on, and nothing but an id.
 */
export interface PackedTree {
  readonly nodeCount: number
  readonly selfPosition: number
  /** Ids, host names and key hashes, in ASCII. */
  readonly text: Uint8Array<ArrayBuffer>
  /** The beginning in `text` of each position's id, and one more: where the last ends. */
  readonly idStart: Uint32Array<ArrayBuffer>
  readonly hostnameStart: Uint32Array<ArrayBuffer>
  readonly keyHashStart: Uint32Array<ArrayBuffer>
  /** The position of each node's policy server. */
  readonly parent: Int32Array<ArrayBuffer>
  /** The range of positions below each position. */
  readonly belowStart: Int32Array<ArrayBuffer>
  readonly belowEnd: Int32Array<ArrayBuffer>
  /** The positions of the nodes in the order of their ids. */
  readonly byId: Int32Array<ArrayBuffer>
  /**
   * The data of a look-up by id, all in one place of memory. A hash table like `IdTable`, of {@link BUCKET_SIZE}
   * numbers a bucket: position + 1 (0 where nothing is), where in `text` the id begins and ends, and the next hop: the
   * position of the sub-relay that the node is below, or {@link HERE} or {@link OUTSIDE}.
   */
  readonly directory: Int32Array<ArrayBuffer>
}

/**
 * @param numbered all texts in ASCII
 * @throws {Error} when policy servers form a cycle (a list that was checked has none)
 */
export function packTree(numbered: NumberedNodes, selfId: string): PackedTree {
  const { nodes, ids, parents } = numbered
  const { order, positionOf, belowStart, belowEnd } = walk(parents, nodes.length, ids.length)
  const parent = new Int32Array(nodes.length)
  for (let position = 0; position < nodes.length; position++)
    parent[position] = at(positionOf, at(parents, at(order, position)))
  const selfNumber = ids.indexOf(selfId)
  const selfPosition = selfNumber < 0 ? NO_POSITION : at(positionOf, selfNumber)
  const texts = packText(numbered, order)
  const nextHop = planHops(selfPosition, nodes.length, belowStart, belowEnd, selfId === ROOT_ID)
  return {
    nodeCount: nodes.length,
    selfPosition,
    ...texts,
    parent,
    belowStart,
    belowEnd,
    byId: sortById(numbered, positionOf),
    directory: packDirectory(numbered.table.buckets(), positionOf, texts.idStart, nextHop)
  }
}

/** Gives every node its position, and every position the range of positions below it. */
function walk(parents: Int32Array, nodeCount: number, idCount: number) {
  const { first, next } = linkChildren(parents, nodeCount, idCount)
  const order = new Int32Array(idCount)
  const positionOf = new Int32Array(idCount).fill(NO_POSITION)
  const belowStart = new Int32Array(idCount)
  const belowEnd = new Int32Array(idCount)
  let position = 0

  const enter = (number: number): void => {
    const own = number < nodeCount ? position++ : number
    positionOf[number] = own
    order[own] = number
    belowStart[own] = position
  }
  const walkFrom = (top: number): void => {
    const path = [top]
    enter(top)
    for (let number = path.at(-1); number !== undefined; number = path.at(-1)) {
      const child = at(first, number)
      if (child === NO_POSITION) {
        belowEnd[at(positionOf, number)] = position
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
  if (position !== nodeCount) throw new Error(`${nodeCount - position} nodes have policy servers that form a cycle`)
  return { order, positionOf, belowStart, belowEnd }
}

/** Lists of children: the first of each, and from there the next, in the order of the nodes. */
function linkChildren(parents: Int32Array, nodeCount: number, idCount: number) {
  const first = new Int32Array(idCount).fill(NO_POSITION)
  const next = new Int32Array(nodeCount).fill(NO_POSITION)
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
  if (self === NO_POSITION) return nextHop
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
    for (let position = 0; position < count; position++) {
      const text = textOf(at(order, position))
      starts[position] = length
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

function sortById({ nodes, ids, table }: NumberedNodes, positionOf: Int32Array): Int32Array<ArrayBuffer> {
  const sorted = ids.slice(0, nodes.length).sort()
  return Int32Array.from(sorted, id => at(positionOf, table.put(id)))
}

function packDirectory(buckets: Int32Array, positionOf: Int32Array, idStart: Uint32Array, nextHop: Int32Array) {
  const directory = new Int32Array(buckets.length * BUCKET_SIZE)
  for (let bucket = 0; bucket < buckets.length; bucket++) {
    const entry = at(buckets, bucket)
    if (entry === 0) continue
    const position = at(positionOf, entry - 1)
    const offset = bucket * BUCKET_SIZE
    directory[offset] = position + 1
    directory[offset + 1] = at(idStart, position)
    directory[offset + 2] = at(idStart, position + 1)
    directory[offset + 3] = position < nextHop.length ? at(nextHop, position) : OUTSIDE
  }
  return directory
}

/** An element that is known to be there. */
function at(array: Int32Array | Uint32Array, index: number): number {
  return array[index] ?? NO_POSITION
}
