/** The next step of a request for a node. */
export type Route =
  | { readonly kind: 'here' }
  | { readonly kind: 'down'; readonly hop: string }
  | { readonly kind: 'up' }
  | { readonly kind: 'unknown' }

export interface TreeNode {
  readonly id: string
  readonly hostname: string
  readonly policyServer: string
  /** The hash as the nodes list has it (`sha256//<base64>` or `sha256:<hex>`); undefined while the node has no key. */
  readonly keyHash: string | undefined
}

/**
 * An immutable state of the tree below a relay. A new nodes list makes a new `Topology`; whoever holds one goes on
 * seeing the old tree, whole.
 */
export interface Topology {
  /** Grows with every tree that is put in place. */
  readonly version: number
  readonly selfId: string
  readonly isRoot: boolean
  /** Entries of the nodes list, the relay's own among them if it is there. */
  readonly size: number

  /**
   * The one rule of the design: `here` for a node directly managed by this relay, `down` to the sub-relay it is below,
   * else `up`, or `unknown` at the root. In constant time.
   */
  route(target: string): Route

  /** Any node of the list, below this relay or not. */
  find(id: string): TreeNode | undefined

  /** Whether the chain of policy servers of `id` leads to this relay (true for the root itself, at the root). */
  isBelow(id: string): boolean

  /** Whether `id` is the policy server of a node other than itself in this list. */
  isRelay(id: string): boolean

  /** Whether `id` is below `relay`, a node of this list. */
  isUnder(id: string, relay: string): boolean

  /** Ids of the nodes managed by this relay itself: at the root, the root is one of them. */
  managed(): Iterable<string>

  /** How many {@link managed} gives. */
  readonly managedCount: number

  /** Ids of the nodes managed here that have nodes below them. */
  subRelays(): Iterable<string>

  /** Ids of all nodes below `relay`, not itself. */
  below(relay: string): Iterable<string>

  /** At most `limit` nodes in the order of their ids, those after `afterId` (undefined: from the first). */
  page(afterId: string | undefined, limit: number): TreeNode[]

  /** All nodes of the list; in the order of their positions, where they have some. */
  nodes(): Iterable<TreeNode>
}

/** A topology whose nodes have positions in an order, for walks over many of them. */
export interface OrderedTopology extends Topology {
  /** The position of a node, from 0 to `size - 1`: before the positions of all nodes below it. */
  positionOf(id: string): number | undefined

  /** @param position as given by {@link positionOf} */
  idAt(position: number): string

  /** The positions of all nodes below `relay`, not its own: they follow one another. */
  positionsBelow(relay: string): readonly [start: number, end: number]
}

/** Gives the topology of the moment. Ask again for each request. */
export type CurrentTopology = () => Topology

/** Whether a node is a policy server of others, below this relay. */
export function isRelayBelow(topology: Topology, id: string): boolean {
  return id !== topology.selfId && topology.isBelow(id) && topology.isRelay(id)
}
