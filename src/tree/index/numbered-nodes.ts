import type { TreeNode } from '../topology.js'
import { IdTable } from './id-table.js'

/** Nodes by number, so that walking the tree needs no look-ups by id. */
export interface NumberedNodes {
  /** A node's number is its index here. */
  readonly nodes: readonly TreeNode[]
  /** The ids of the nodes, then those of the policy servers that are not among them. */
  readonly ids: readonly string[]
  /** The number of each node's policy server. */
  readonly parents: Int32Array
  /** The table from each of `ids` to its number. */
  readonly table: IdTable
}

/** @throws {Error} when an id is there twice */
export function numberNodes(nodes: readonly TreeNode[]): NumberedNodes {
  const ids: string[] = []
  // no more policy servers than nodes can be named without being listed
  const table = new IdTable(ids, 2 * nodes.length)
  for (const { id } of nodes) {
    if (table.put(id) !== ids.length - 1) throw new Error(`the node ${id} is there twice`)
  }
  const parents = new Int32Array(nodes.length)
  for (const [number, { policyServer }] of nodes.entries()) parents[number] = table.put(policyServer)
  return { nodes, ids, parents, table }
}
