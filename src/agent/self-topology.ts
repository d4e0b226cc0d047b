import type { Route, Topology, TreeNode } from '../tree/topology.js'

const HERE: Route = { kind: 'here' }
const UNKNOWN: Route = { kind: 'unknown' }

/** The tree as an agent sees it: one node, itself. */
export function selfTopology(selfId: string): Topology {
  const self: TreeNode = { id: selfId, hostname: 'localhost', policyServer: selfId, keyHash: undefined }
  const isSelf = (id: string) => id === selfId
  return {
    version: 1,
    selfId,
    isRoot: false,
    size: 1,
    route: target => (isSelf(target) ? HERE : UNKNOWN),
    find: id => (isSelf(id) ? self : undefined),
    isBelow: isSelf,
    isRelay: () => false,
    isUnder: () => false,
    managed: () => [selfId],
    managedCount: 1,
    subRelays: () => [],
    below: () => [],
    page: (afterId, limit) => (limit > 0 && (afterId === undefined || afterId < selfId) ? [self] : []),
    nodes: () => [self]
  }
}
