import { MAX_NODE_ID_LENGTH, ROOT_ID } from '../../values/ids.js'
import type { PlacedTopology, Route, TreeNode } from '../topology.js'
import { hashId } from './id-table.js'
import { numberNodes } from './numbered-nodes.js'
import { HERE, NO_SLOT, OUTSIDE, type PackedTree, PLACE_SIZE, packTree } from './packed-tree.js'

const NOWHERE = -1

const ROUTE_HERE: Route = { kind: 'here' }
const ROUTE_UP: Route = { kind: 'up' }
const ROUTE_UNKNOWN: Route = { kind: 'unknown' }

/** {@link PlacedTopology} over a packed tree: look-ups cost the same however large it is, and make no garbage. */
export class TopologyIndex implements PlacedTopology {
  readonly size: number
  readonly isRoot: boolean
  #managedCount: number | undefined
  readonly #tree: PackedTree
  readonly #text: Buffer
  readonly #routesDown = new Map<number, Route>()

  constructor(
    tree: PackedTree,
    readonly selfId: string,
    readonly version: number
  ) {
    this.#tree = tree
    this.#text = Buffer.from(tree.text.buffer)
    this.size = tree.nodeCount
    this.isRoot = selfId === ROOT_ID
  }

  /** A tree of no nodes: what a relay has before its first import. */
  static empty(selfId: string): TopologyIndex {
    return new TopologyIndex(packTree(numberNodes([]), selfId), selfId, 0)
  }

  /** Memory held by the index, outside of the JavaScript heap. */
  get bytes(): number {
    return Object.values(this.#tree).reduce<number>(
      (sum, value) => sum + (ArrayBuffer.isView(value) ? value.byteLength : 0),
      0
    )
  }

  route(target: string): Route {
    const hop = this.#nextHop(target)
    if (hop === HERE) return ROUTE_HERE
    if (hop === OUTSIDE) return this.isRoot ? ROUTE_UNKNOWN : ROUTE_UP
    let route = this.#routesDown.get(hop)
    if (!route) {
      route = { kind: 'down', hop: this.idAt(hop) }
      this.#routesDown.set(hop, route)
    }
    return route
  }

  find(id: string): TreeNode | undefined {
    const slot = this.slotOf(id)
    return slot === undefined ? undefined : this.#nodeAt(slot)
  }

  isBelow(id: string): boolean {
    return this.#nextHop(id) !== OUTSIDE
  }

  isRelay(id: string): boolean {
    const [start, end] = this.slotsBelow(id)
    return end > start
  }

  isUnder(id: string, relay: string): boolean {
    const slot = this.slotOf(id)
    const [start, end] = this.slotsBelow(relay)
    return slot !== undefined && slot >= start && slot < end
  }

  *managed(): Generator<string> {
    if (this.#managesItself()) yield this.selfId
    for (const slot of this.#children()) yield this.idAt(slot)
  }

  get managedCount(): number {
    this.#managedCount ??= Array.from(this.#children()).length + (this.#managesItself() ? 1 : 0)
    return this.#managedCount
  }

  *subRelays(): Generator<string> {
    for (const slot of this.#children()) {
      if ((this.#tree.belowEnd[slot] ?? 0) > slot + 1) yield this.idAt(slot)
    }
  }

  *below(relay: string): Generator<string> {
    const [start, end] = this.slotsBelow(relay)
    for (let slot = start; slot < end; slot++) yield this.idAt(slot)
  }

  page(afterId: string | undefined, limit: number): TreeNode[] {
    const { byId } = this.#tree
    const start = afterId === undefined ? 0 : this.#countUpTo(afterId)
    return Array.from(byId.subarray(start, start + limit), slot => this.#nodeAt(slot))
  }

  *nodes(): Generator<TreeNode> {
    for (let slot = 0; slot < this.size; slot++) yield this.#nodeAt(slot)
  }

  slotOf(id: string): number | undefined {
    const slot = this.#lookUp(id)
    return slot === NO_SLOT || slot >= this.size ? undefined : slot
  }

  idAt(slot: number): string {
    return this.#textAt(this.#tree.idStart, slot)
  }

  #nextHop(id: string): number {
    const place = this.#placeOf(id)
    return place === NOWHERE ? OUTSIDE : (this.#tree.directory[place + 3] ?? OUTSIDE)
  }

  /** Looks up an id; also finds policy servers that are not in the list. */
  #lookUp(id: string): number {
    const place = this.#placeOf(id)
    return place === NOWHERE ? NO_SLOT : (this.#tree.directory[place] ?? 0) - 1
  }

  /** The place of an id in the directory. */
  #placeOf(id: string): number {
    if (id.length > MAX_NODE_ID_LENGTH) return NOWHERE
    const { directory } = this.#tree
    const mask = directory.length - 1
    for (let place = (hashId(id) * PLACE_SIZE) & mask; ; place = (place + PLACE_SIZE) & mask) {
      if (directory[place] === 0) return NOWHERE
      const start = directory[place + 1] ?? 0
      if (directory[place + 2] === start + id.length && this.#isTextAt(start, id)) return place
    }
  }

  #isTextAt(start: number, text: string): boolean {
    const bytes = this.#tree.text
    // backwards: ids that share anything mostly share their beginning
    for (let index = text.length - 1; index >= 0; index--) {
      if (bytes[start + index] !== text.charCodeAt(index)) return false
    }
    return true
  }

  /** How many ids are not greater than `id`. */
  #countUpTo(id: string): number {
    const { byId } = this.#tree
    let low = 0
    let high = byId.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.idAt(byId[middle] ?? 0) <= id) low = middle + 1
      else high = middle
    }
    return low
  }

  slotsBelow(relay: string): [start: number, end: number] {
    const slot = relay === this.selfId ? this.#tree.selfSlot : this.#lookUp(relay)
    return slot === NO_SLOT ? [0, 0] : [this.#tree.belowStart[slot] ?? 0, this.#tree.belowEnd[slot] ?? 0]
  }

  #managesItself(): boolean {
    return this.isRoot && this.slotOf(this.selfId) !== undefined
  }

  /** Slots of the nodes whose policy server is this relay, itself not counted. */
  *#children(): Generator<number> {
    const { selfSlot, belowStart, belowEnd } = this.#tree
    if (selfSlot === NO_SLOT) return
    const end = belowEnd[selfSlot] ?? 0
    // what follows the last node below a child is the next child
    for (let slot = belowStart[selfSlot] ?? 0; slot < end; slot = belowEnd[slot] ?? end) yield slot
  }

  #nodeAt(slot: number): TreeNode {
    return {
      id: this.idAt(slot),
      hostname: this.#textAt(this.#tree.hostnameStart, slot),
      policyServer: this.idAt(this.#tree.parent[slot] ?? slot),
      keyHash: this.#textAt(this.#tree.keyHashStart, slot) || undefined
    }
  }

  #textAt(starts: Uint32Array, slot: number): string {
    return this.#text.toString('latin1', starts[slot], starts[slot + 1])
  }
}
