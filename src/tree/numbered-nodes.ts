import type { TreeNode } from './topology.js'

/** Nodes by number, so that walking the tree needs no look-ups by id. */
export interface NumberedNodes {
  /** In the order of their ids; a node's number is its place here. */
  readonly nodes: readonly TreeNode[]
  /** The ids of the nodes, then those of the policy servers that are not among them. */
  readonly ids: readonly string[]
  /** The number of each node's policy server. */
  readonly parents: Int32Array
}

/**
 * @param nodes in the order of their ids, each id once
 * @throws {Error} when they are not
 */
export function numberNodes(nodes: readonly TreeNode[]): NumberedNodes {
  const numbers = new Map<string, number>()
  const ids: string[] = []
  let last = ''
  for (const { id } of nodes) {
    if (id <= last) throw new Error(`the node ${id} is out of order`)
    last = id
    numbers.set(id, ids.length)
    ids.push(id)
  }
  const parents = new Int32Array(nodes.length)
  for (const [number, { policyServer }] of nodes.entries()) {
    let parent = numbers.get(policyServer)
    if (parent === undefined) {
      parent = ids.length
      numbers.set(policyServer, parent)
      ids.push(policyServer)
    }
    parents[number] = parent
  }
  return { nodes, ids, parents }
}
