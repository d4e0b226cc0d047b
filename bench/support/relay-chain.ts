import { join } from 'node:path'
import { freePorts } from '../../demo/free-ports.js'
import { makeAgentCertificate } from '../../demo/pki.js'
import type { ListedNode } from './generate-nodes-list.js'
import { Relay } from './relay.js'
import { listedNode } from './relay-folder.js'
import type { RowContext } from './row.js'
import { makeSigner, type Signer } from './sign.js'

const IDS = ['root', 'relay', 'sub-relay'] as const

export interface RelayChain {
  /** From the root down. */
  readonly relays: readonly Relay[]
  readonly httpsPorts: readonly number[]
  readonly signer: Signer
}

/**
 * Root, relay and sub-relay, each below the one before, with TLS and pinned certificates. `target-0` is a node of the
 * root, `target-2` one of the sub-relay, `source` one of the root.
 */
export async function startRelayChain(context: RowContext): Promise<RelayChain> {
  const signer = makeSigner()
  const certificates = await Promise.all(IDS.map(nodeId => makeAgentCertificate({ nodeId, hostname: '127.0.0.1' })))
  const ports = await freePorts(IDS.length * 2)
  const httpsPorts = ports.slice(IDS.length)
  const relays: Relay[] = []
  for (const [level, nodeId] of IDS.entries()) {
    const [certificate, above] = [at(certificates, level), level === 0 ? undefined : at(certificates, level - 1)]
    const relay = await Relay.start(
      {
        folder: join(context.folder, nodeId),
        nodeId,
        port: at(ports, level),
        nodes: nodesFrom(level, signer),
        certificates: certificates.slice(level),
        https: { port: at(httpsPorts, level), certificate },
        neighbours: Object.fromEntries(
          IDS.slice(level + 1).map((id, index) => [id, at(httpsPorts, level + 1 + index)])
        ),
        ...(above === undefined ? {} : { upstream: { port: at(httpsPorts, level - 1), certificate: above } })
      },
      context.cleanup
    )
    relays.push(relay)
  }
  return { relays, httpsPorts, signer }
}

/** The nodes list of the relay at `level`: itself and everything below. */
function nodesFrom(level: number, signer: Signer): Record<string, ListedNode> {
  const all: [number, string, ListedNode][] = [
    [0, 'source', listedNode('source.example.com', 'root', signer.keyHash)],
    ...IDS.flatMap((id, index): [number, string, ListedNode][] => [
      [index, id, listedNode('127.0.0.1', IDS[Math.max(0, index - 1)] ?? id)],
      [index, `target-${index}`, listedNode(`target-${index}.example.com`, id)]
    ])
  ]
  return Object.fromEntries(all.filter(([below]) => below >= level).map(([, id, node]) => [id, node]))
}

function at<T>(values: readonly T[], index: number): T {
  const value = values[index]
  if (value === undefined) throw new RangeError(`nothing at ${index}`)
  return value
}
