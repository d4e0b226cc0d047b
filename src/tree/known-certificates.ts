import { shownBy } from '../keys/certificates/shown-certificate.js'
import { type CurrentTopology, isRelayBelow } from './topology.js'

/** The owners of certificates. */
export interface KnownCertificates {
  /** @param fingerprint SHA-256 of the DER, lower-case hex */
  nodeOf(fingerprint: string): string | undefined
  isPolicyServer(fingerprint: string): boolean
  /** Certificates listed for a node, as DER. */
  of(nodeId: string): readonly Buffer[]
  /** Changes whenever any of the answers above may have. */
  version(): number
}

/** A neighbour that has proven who it is. */
export type ProvenNeighbour =
  | { readonly kind: 'policy-server' }
  | { readonly kind: 'relay' | 'node'; readonly id: string }

/** The facts by which a neighbour is known, as they are at each look. */
export interface NeighbourFacts {
  readonly certificates: Pick<KnownCertificates, 'nodeOf' | 'isPolicyServer'>
  readonly topology: CurrentTopology
}

/** The neighbour whose certificate the other side of a connection showed; undefined where it showed none, or one of nobody in the tree. */
export function neighbourOn(connection: object, facts: NeighbourFacts): ProvenNeighbour | undefined {
  const shown = shownBy(connection)
  if (shown === undefined) return undefined
  if (facts.certificates.isPolicyServer(shown)) return { kind: 'policy-server' }
  const id = facts.certificates.nodeOf(shown)
  return id === undefined ? undefined : provenNode(id, facts)
}

/** A node that has proven who it is: a relay, where it is the policy server of others below this one. */
export function provenNode(id: string, { topology }: Pick<NeighbourFacts, 'topology'>): ProvenNeighbour {
  return { kind: isRelayBelow(topology(), id) ? 'relay' : 'node', id }
}
