import { endianness } from 'node:os'
import type { PackedCertificates } from './certificate-index.js'
import type { PackedTree } from './packed-tree.js'

/** The tree as a relay holds it in memory, handed over by a worker. */
export interface PackedTopology {
  readonly tree: PackedTree
  readonly certificates: PackedCertificates
}

/** The number of the format; raised whenever the arrays of either change their meaning. */
const FORMAT = 1

/** Names the packed form made for one relay by this version on this kind of machine. */
export function cacheKey(selfId: string): string {
  return `${FORMAT} ${endianness()} ${selfId}`
}

/** The buffers of a packed topology, to be transferred to another thread. */
export function buffersOf({ tree, certificates }: PackedTopology): ArrayBuffer[] {
  return [...Object.values(tree), ...Object.values(certificates)].flatMap(value =>
    ArrayBuffer.isView(value) ? [value.buffer as ArrayBuffer] : []
  )
}

/** The arrays of a packed topology by name, to be kept. */
export function partsOf({ tree, certificates }: PackedTopology): Map<string, Uint8Array> {
  const { nodeCount, selfPosition, ...treeArrays } = tree
  const arrays = { ...treeArrays, ...certificates, numbers: Int32Array.of(nodeCount, selfPosition) }
  return new Map(
    Object.entries(arrays).map(([name, { buffer, byteOffset, byteLength }]) => [
      name,
      new Uint8Array(buffer, byteOffset, byteLength)
    ])
  )
}

/** The reverse of {@link partsOf}, into buffers of its own. @returns undefined when a part is missing */
export function fromParts(parts: ReadonlyMap<string, Uint8Array>): PackedTopology | undefined {
  let isWhole = true
  const bytes = (name: string): Uint8Array<ArrayBuffer> => {
    const part = parts.get(name)
    isWhole &&= part !== undefined
    return new Uint8Array(part ?? [])
  }
  const integers = (name: string): Int32Array<ArrayBuffer> => new Int32Array(bytes(name).buffer)
  const [nodeCount = 0, selfPosition = 0] = integers('numbers')
  const topology = {
    tree: {
      nodeCount,
      selfPosition,
      text: bytes('text'),
      idStart: new Uint32Array(bytes('idStart').buffer),
      hostnameStart: new Uint32Array(bytes('hostnameStart').buffer),
      keyHashStart: new Uint32Array(bytes('keyHashStart').buffer),
      parent: integers('parent'),
      belowStart: integers('belowStart'),
      belowEnd: integers('belowEnd'),
      byId: integers('byId'),
      directory: integers('directory')
    },
    certificates: {
      fingerprints: bytes('fingerprints'),
      owners: integers('owners'),
      fingerprintTable: integers('fingerprintTable')
    }
  }
  return isWhole ? topology : undefined
}
