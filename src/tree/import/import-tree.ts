import { isAscii } from 'node:buffer'
import type {
  CertificateRecord,
  ImportRecord,
  NewImport,
  TopologyStore
} from '../../storage/topology/topology-store.js'
import { packCertificates } from '../index/certificate-index.js'
import { numberNodes } from '../index/numbered-nodes.js'
import { cacheKey, fromParts, type PackedTopology, partsOf } from '../index/packed-parts.js'
import { packTree } from '../index/packed-tree.js'
import { TopologyIndex } from '../index/topology-index.js'
import { readIdentity } from './certificate-identity.js'
import { type ForeignBlock, MAX_CERTIFICATES_BYTES, parseCertificates } from './certificates-list.js'
import { isAbsent, readSource, readSourceIfPresent, type Source } from './import-sources.js'
import { MAX_NODES_LIST_BYTES, parseNodesList } from './nodes-list.js'
import { Warnings } from './warnings.js'

export interface ImportRequest {
  readonly nodesListFile: string
  readonly nodesCertsFile: string
  readonly selfId: string
}

/** The tree that is in the database now, and where it came from. */
export interface StoredTree {
  readonly record: ImportRecord
  readonly packed: PackedTopology
}

/**
 * Puts the tree that the files describe into the database, unless the last import was of the same files.
 *
 * @param nowMs recorded as the time of the import
 * @returns the new tree, or undefined when the files have not changed
 * @throws {Error} saying what is wrong with which file; the tree in the database stays as it was
 */
export function importTree(store: TopologyStore, request: ImportRequest, nowMs: number): StoredTree | undefined {
  const list = readSource(request.nodesListFile, 'nodes list', MAX_NODES_LIST_BYTES)
  const pem = readSourceIfPresent(request.nodesCertsFile, 'certificates file', MAX_CERTIFICATES_BYTES)
  const last = store.lastImport()
  if (last?.nodesListDigest === list.digest && last.certificatesDigest === pem.digest) return undefined
  const source = { nodesListDigest: list.digest, certificatesDigest: pem.digest, importedAtMs: nowMs }
  return replaceTree(store, request.selfId, source, list, pem)
}

function replaceTree(store: TopologyStore, selfId: string, source: NewImport, list: Source, pem: Source): StoredTree {
  const warnings = new Warnings()
  const numbered = parseNodesList(textOf(list.bytes), list.file, problem => warnings.add(problem))
  const tree = packTree(numbered, selfId)
  if (isAbsent(pem)) warnings.add(`there is no certificates file ${pem.file}: no node has a certificate`)
  const owners: { fingerprint: Buffer; owner: number }[] = []
  const certificates = listedCertificates(pem, new TopologyIndex(tree, selfId, 0), warnings)
  const remembered = (function* () {
    for (const { record, owner } of certificates) {
      owners.push({ fingerprint: record.fingerprint, owner })
      yield record
    }
  })()
  let packed: PackedTopology | undefined
  const record = store.replace(source, numbered.nodes, remembered, () => {
    packed = { tree, certificates: packCertificates(owners) }
    return { warnings: warnings.list(), cache: { key: cacheKey(selfId), parts: partsOf(packed) } }
  })
  return { record, packed: packed ?? { tree, certificates: packCertificates(owners) } }
}

/** Reads the tree of the last import; undefined when there was none. */
export function readStoredTree(store: TopologyStore, selfId: string): StoredTree | undefined {
  const record = store.lastImport()
  if (!record) return undefined
  const packed = fromParts(store.cached(cacheKey(selfId)))
  return { record, packed: packed ?? packRows(store, selfId) }
}

/** Packs the stored rows, for a cache that was made by another version, or while this relay had another id. */
function packRows(store: TopologyStore, selfId: string): PackedTopology {
  const tree = packTree(numberNodes([...store.nodes()]), selfId)
  const index = new TopologyIndex(tree, selfId, 0)
  const owners = Array.from(store.certificates(), ({ fingerprint, nodeId }) => ({
    fingerprint,
    owner: index.positionOf(nodeId)
  }))
  const known = owners.flatMap(({ fingerprint, owner }) => (owner === undefined ? [] : [{ fingerprint, owner }]))
  return { tree, certificates: packCertificates(known) }
}

/** The certificates of nodes of the list, each once; of the others, a warning. */
function* listedCertificates(
  pem: Source,
  index: TopologyIndex,
  warnings: Warnings
): Generator<{ record: CertificateRecord; owner: number }> {
  const seen = new Set<string>()
  const skipped = ({ label, line }: ForeignBlock) =>
    warnings.add(`the block ${label} on line ${line} of ${pem.file} is no certificate: skipped`)
  for (const { der, fingerprint, line } of parseCertificates(pem.bytes, pem.file, skipped)) {
    const name = fingerprint.toString('latin1')
    if (seen.has(name)) continue
    seen.add(name)
    const { userIds, serial } = identify(der, line, pem.file)
    const [nodeId, ...others] = userIds
    const owner = nodeId === undefined ? undefined : index.positionOf(nodeId)
    if (nodeId === undefined)
      warnings.add(`the certificate on line ${line} of ${pem.file} has no node id (UID): skipped`)
    else if (others.length > 0) {
      warnings.add(`the certificate on line ${line} of ${pem.file} has ${userIds.length} node ids: skipped`)
    } else if (owner === undefined) {
      const shown = JSON.stringify(nodeId.slice(0, 80))
      warnings.add(`the certificate on line ${line} of ${pem.file} is of an unknown node, ${shown}: skipped`)
    } else yield { record: { fingerprint, nodeId, serial, der }, owner }
  }
}

/** The owner that a certificate of a certificates file names. @throws {Error} that names the file and the line */
export function identify(der: Buffer, line: number, file: string) {
  try {
    return readIdentity(der)
  } catch (error) {
    throw new Error(`cannot use the certificates file ${file}: line ${line}: this is no certificate`, { cause: error })
  }
}

/** Plain ASCII is decoded, and then parsed, in half the time. */
function textOf(bytes: Buffer): string {
  return bytes.toString(isAscii(bytes) ? 'latin1' : 'utf8')
}
