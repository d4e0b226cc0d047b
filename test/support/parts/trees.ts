import { writeFileSync } from 'node:fs'
import fc from 'fast-check'
import type { TreeNode } from '../../../src/tree/topology.js'

/** The facts of a node that a test states; the host name is `<id>.example.com` unless given. */
export interface TestNode {
  readonly id: string
  readonly policyServer: string
  readonly hostname?: string
  /** The form in the list: `sha256//<base64>`, `sha256:<hex>`. */
  readonly keyHash?: string | undefined
}

/** The text of a nodes list (contract, "The nodes list"). */
export function nodesListText(nodes: readonly TestNode[]): string {
  const members = nodes.map(({ id, policyServer, hostname = `${id}.example.com`, keyHash }) => [
    id,
    { hostname, 'policy-server': policyServer, ...(keyHash !== undefined && { 'key-hash': keyHash }) }
  ])
  return JSON.stringify(Object.fromEntries(members))
}

/** Writes a nodes list as the policy server's software does. */
export function writeNodesList(file: string, nodes: readonly TestNode[]): void {
  writeFileSync(file, nodesListText(nodes))
}

export function toTreeNode({ id, policyServer, hostname = `${id}.example.com`, keyHash }: TestNode): TreeNode {
  return { id, policyServer, hostname, keyHash }
}

/** A whole tree, as the root's list has it: each node hangs below any of those before it, at most 20 deep. */
export function arbitraryTree(maxNodes = 40): fc.Arbitrary<TreeNode[]> {
  return fc.array(fc.nat(), { maxLength: maxNodes, size: 'max' }).chain(picks => {
    const nodes: TreeNode[] = [toTreeNode({ id: 'root', policyServer: 'root' })]
    const depths = [0]
    for (const [index, pick] of picks.entries()) {
      const above = pick % nodes.length
      const parent = (depths[above] ?? 0) < 20 ? above : 0
      nodes.push(toTreeNode({ id: `n${index}`, policyServer: nodes[parent]?.id ?? 'root' }))
      depths.push((depths[parent] ?? 0) + 1)
    }
    return fc.shuffledSubarray(nodes, { minLength: nodes.length })
  })
}

/** The chain of policy servers of a node in a whole tree, from its own up to the root. */
export function chainOf(tree: readonly TreeNode[], id: string): string[] {
  const parents = new Map(tree.map(node => [node.id, node.policyServer]))
  const chain: string[] = []
  for (let at = id; at !== 'root'; ) {
    at = parents.get(at) ?? 'root'
    chain.push(at)
  }
  return chain
}

/**
 * The list that one relay of a whole tree has: the nodes below it, and itself if so wished; all at the root.
 */
export function listOf(tree: readonly TreeNode[], relay: string, withItself: boolean): TreeNode[] {
  if (relay === 'root') return [...tree]
  return tree.filter(({ id }) => (id === relay ? withItself : chainOf(tree, id).includes(relay)))
}
