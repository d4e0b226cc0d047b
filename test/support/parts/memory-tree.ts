import { createHash } from 'node:crypto'
import { numberNodes } from '../../../src/tree/index/numbered-nodes.js'
import { packTree } from '../../../src/tree/index/packed-tree.js'
import { TopologyIndex } from '../../../src/tree/index/topology-index.js'
import type { OrderedTopology, Topology, TreeNode } from '../../../src/tree/topology.js'

export type Certificates = ReadonlyMap<string, readonly Buffer[]>

/** A tree that is put in place without files, as `Tree` shows it to whoever hands it down. */
export class MemoryTree {
  readonly #listeners = new Set<(topology: Topology) => void>()
  #topology: TopologyIndex
  #certificates: Certificates = new Map()

  constructor(readonly selfId = 'root') {
    this.#topology = TopologyIndex.empty(selfId)
  }

  put(nodes: readonly TreeNode[], certificates: Certificates = new Map()): void {
    const packed = packTree(numberNodes(nodes), this.selfId)
    this.#topology = new TopologyIndex(packed, this.selfId, this.#topology.version + 1)
    this.#certificates = certificates
    for (const listener of this.#listeners) listener(this.#topology)
  }

  current(): OrderedTopology {
    return this.#topology
  }

  certificatesOf(id: string): Buffer[] {
    return [...(this.#certificates.get(id) ?? [])]
  }

  *fingerprints(): Generator<[number, Buffer]> {
    const topology = this.#topology
    for (const [id, ders] of this.#certificates) {
      const position = topology.positionOf(id)
      if (position === undefined) continue
      for (const der of ders) yield [position, createHash('sha256').update(der).digest()]
    }
  }

  onChange(listener: (topology: Topology) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
