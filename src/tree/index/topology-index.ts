import { MAX_NODE_ID_LENGTH, ROOT_ID } from '../../values/ids.js'
import type { OrderedTopology, Route, TreeNode } from '../topology.js'
import { hashId } from './id-table.js'
import { numberNodes } from './numbered-nodes.js'
import { BUCKET_SIZE, HERE, NO_POSITION, OUTSIDE, type PackedTree, packTree } from './packed-tree.js'

const NOWHERE = -1

const ROUTE_HERE: Route = { kind: 'here' }
const ROUTE_UP: Route = { kind: 'up' }
const ROUTE_UNKNOWN: Route = { kind: 'unknown' }

/** {@link OrderedTopology} over a packed tree: look-ups cost the same however large it is, and make no garbage. */
export class TopologyIndex implements OrderedTopology {
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
    const position = this.positionOf(id)
    return position === undefined ? undefined : this.#nodeAt(position)
  }

  isBelow(id: string): boolean {
    return this.#nextHop(id) !== OUTSIDE
  }

  isRelay(id: string): boolean {
    const [start, end] = this.positionsBelow(id)
    return end > start
  }

  isUnder(id: string, relay: string): boolean {
    const position = this.positionOf(id)
    const [start, end] = this.positionsBelow(relay)
    return position !== undefined && position >= start && position < end
  }

  *managed(): Generator<string> {
    if (this.#managesItself()) yield this.selfId
    for (const position of this.#children()) yield this.idAt(position)
  }

  get managedCount(): number {
    this.#managedCount ??= Array.from(this.#children()).length + (this.#managesItself() ? 1 : 0)
    return this.#managedCount
  }

  *subRelays(): Generator<string> {
    for (const position of this.#children()) {
      if ((this.#tree.belowEnd[position] ?? 0) > position + 1) yield this.idAt(position)
    }
  }

  *below(relay: string): Generator<string> {
    const [start, end] = this.positionsBelow(relay)
    for (let position = start; position < end; position++) yield this.idAt(position)
  }

  page(afterId: string | undefined, limit: number): TreeNode[] {
    const { byId } = this.#tree
    const start = afterId === undefined ? 0 : this.#countUpTo(afterId)
    return Array.from(byId.subarray(start, start + limit), position => this.#nodeAt(position))
  }

  *nodes(): Generator<TreeNode> {
    for (let position = 0; position < this.size; position++) yield this.#nodeAt(position)
  }

  positionOf(id: string): number | undefined {
    const position = this.#lookUp(id)
    return position === NO_POSITION || position >= this.size ? undefined : position
  }

  idAt(position: number): string {
    return this.#textAt(this.#tree.idStart, position)
  }

  #nextHop(id: string): number {
    const bucket = this.#bucketOf(id)
    return bucket === NOWHERE ? OUTSIDE : (this.#tree.directory[bucket + 3] ?? OUTSIDE)
  }

  /** Looks up an id; also finds policy servers that are not in the list. */
  #lookUp(id: string): number {
    const bucket = this.#bucketOf(id)
    return bucket === NOWHERE ? NO_POSITION : (this.#tree.directory[bucket] ?? 0) - 1
  }

  /** The bucket of an id in the directory. */
  #bucketOf(id: string): number {
    if (id.length > MAX_NODE_ID_LENGTH) return NOWHERE
    const { directory } = this.#tree
    const mask = directory.length - 1
    for (let bucket = (hashId(id) * BUCKET_SIZE) & mask; ; bucket = (bucket + BUCKET_SIZE) & mask) {
      if (directory[bucket] === 0) return NOWHERE
      const start = directory[bucket + 1] ?? 0
      if (directory[bucket + 2] === start + id.length && this.#isTextAt(start, id)) return bucket
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

  positionsBelow(relay: string): [start: number, end: number] {
    const position = relay === this.selfId ? this.#tree.selfPosition : this.#lookUp(relay)
    return position === NO_POSITION
      ? [0, 0]
      : [this.#tree.belowStart[position] ?? 0, this.#tree.belowEnd[position] ?? 0]
  }

  #managesItself(): boolean {
    return this.isRoot && this.positionOf(this.selfId) !== undefined
  }

  /** Positions of the nodes whose policy server is this relay, itself not counted. */
  *#children(): Generator<number> {
    const { selfPosition, belowStart, belowEnd } = this.#tree
    if (selfPosition === NO_POSITION) return
    const end = belowEnd[selfPosition] ?? 0
    // what follows the last node below a child is the next child
    for (let position = belowStart[selfPosition] ?? 0; position < end; position = belowEnd[position] ?? end)
      yield position
  }

  #nodeAt(position: number): TreeNode {
    return {
      id: this.idAt(position),
      hostname: this.#textAt(this.#tree.hostnameStart, position),
      policyServer: this.idAt(this.#tree.parent[position] ?? position),
      keyHash: this.#textAt(this.#tree.keyHashStart, position) || undefined
    }
  }

  #textAt(starts: Uint32Array, position: number): string {
    return this.#text.toString('latin1', starts[position], starts[position + 1])
  }
}
