import { createHash, randomUUID } from 'node:crypto'

/** A member of a nodes list, as the file has it. */
export interface ListedNode {
  readonly hostname: string
  readonly 'policy-server': string
  readonly 'key-hash'?: string
}

/** Nodes below each relay of a generated tree. */
const NODES_PER_RELAY = 1_000

/** The domain that brings the host names to 36 characters, which is what makes lists large. */
const DOMAIN = '.servers.of.the.example.com'

/**
 * Makes a nodes list as a root has it: root, relays below it and below those, and nodes of 36-character ids and
 * host names (UUIDs), all with a key hash. 100,000 of them make 19 MB.
 *
 * @param nodeCount entries of the list, at least 1
 */
export function generateNodesList(nodeCount: number): Record<string, ListedNode> {
  const list: Record<string, ListedNode> = { root: entry('root', 0) }
  const relays = ['root']
  for (let index = 1; index < nodeCount; index++) {
    const id = randomUUID()
    const isRelay = index <= nodeCount / NODES_PER_RELAY
    // relays hang below the first tenth of the relays, nodes below any
    const above = isRelay ? relays[index % Math.ceil(relays.length / 10)] : relays[index % relays.length]
    list[id] = entry(above ?? 'root', index)
    if (isRelay) relays.push(id)
  }
  return list
}

function entry(policyServer: string, index: number): ListedNode {
  const digest = createHash('sha256').update(String(index)).digest('base64')
  return {
    hostname: `n${String(index).padStart(8, '0')}${DOMAIN}`,
    'policy-server': policyServer,
    'key-hash': `sha256//${digest}`
  }
}
