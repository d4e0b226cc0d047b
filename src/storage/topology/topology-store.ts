import type { Database } from '../sqlite-engine/database.js'
import { translatedRows } from '../sqlite-engine/sqlite-failure.js'

/** A node, as its row has it. */
export interface StoredNode {
  readonly id: string
  readonly hostname: string
  readonly policyServer: string
  readonly keyHash: string | undefined
}

export interface CertificateRecord {
  /** SHA-256 of `der`, 32 bytes. */
  readonly fingerprint: Buffer
  readonly nodeId: string
  /** Upper-case hex. */
  readonly serial: string
  readonly der: Buffer
}

/** The facts about a certificate that need no look at its bytes. */
export type CertificateSummary = Omit<CertificateRecord, 'der'>

/** The origin of the tree in the database. */
export interface ImportRecord {
  /** Grows by one with every import; the first is 1. */
  readonly generation: number
  readonly nodesListDigest: string
  readonly certificatesDigest: string
  readonly importedAtMs: number
  readonly nodeCount: number
  readonly certificateCount: number
  readonly warnings: readonly string[]
}

/** An import before it is stored: the database counts. */
export type NewImport = Pick<ImportRecord, 'nodesListDigest' | 'certificatesDigest' | 'importedAtMs'>

/** A form of the tree that is quick to load: byte arrays by name. */
export interface TreeCache {
  /** The reader for which it was made; another one does not find it. */
  readonly key: string
  readonly parts: ReadonlyMap<string, Uint8Array>
}

/** The facts that an import knows once it has been through all certificates. */
export interface ImportEnd {
  readonly warnings: readonly string[]
  readonly cache: TreeCache
}

/** The tree in SQLite: what a restart begins with. */
export interface TopologyStore {
  /** Undefined before the first import. */
  lastImport(): ImportRecord | undefined
  /** All nodes, in the order in which they were put. */
  nodes(): Iterable<StoredNode>
  certificates(): Iterable<CertificateSummary>
  /** DER. */
  certificatesOf(nodeId: string): Buffer[]
  /** The parts of the cache that was stored with the present tree under this key; empty if there is none. */
  cached(key: string): ReadonlyMap<string, Buffer>
  /**
   * Puts a whole tree in place of the present one, in one transaction.
   * @param certificates is read after the nodes were written; when it throws, the present tree stays
   * @param end is asked last
   */
  replace(
    source: NewImport,
    nodes: readonly StoredNode[],
    certificates: Iterable<CertificateRecord>,
    end: () => ImportEnd
  ): ImportRecord
}

type NodeRow = [id: string, hostname: string, policyServer: string, keyHash: string | null]
type CertificateRow = [fingerprint: Buffer, nodeId: string, serial: string]
type ImportRow = Omit<ImportRecord, 'warnings'> & { readonly warnings: string }

/** Rows per statement: a call into SQLite costs as much as several rows. */
const ROWS_PER_INSERT = 64

const SELECT_IMPORT = `
  SELECT generation, nodes_list_digest AS nodesListDigest, certificates_digest AS certificatesDigest,
         imported_at_ms AS importedAtMs, node_count AS nodeCount, certificate_count AS certificateCount, warnings
  FROM tree_import`

const REPLACE_IMPORT = `
  INSERT OR REPLACE INTO tree_import
  VALUES (1, :generation, :nodesListDigest, :certificatesDigest, :importedAtMs, :nodeCount, :certificateCount, :warnings)`

/** @param db a `topology` database; the caller closes it, and has no transaction open */
export function createTopologyStore(db: Database): TopologyStore {
  const selectImport = db.prepare<[], ImportRow>(SELECT_IMPORT)
  const selectNodes = db
    .prepare<[], NodeRow>('SELECT id, hostname, policy_server, key_hash FROM nodes ORDER BY position')
    .raw()
  const selectCertificates = db
    .prepare<[], CertificateRow>('SELECT fingerprint, node_id, serial FROM certificates ORDER BY rowid')
    .raw()
  const selectDer = db
    .prepare<[string], Buffer>('SELECT der FROM certificates WHERE node_id = ? ORDER BY rowid')
    .pluck()
  const insertNode = db.prepare(nodeInsert(1))
  const insertNodes = db.prepare(nodeInsert(ROWS_PER_INSERT))
  const insertCertificate = db.prepare(
    'INSERT INTO certificates (fingerprint, node_id, serial, der) VALUES (?, ?, ?, ?)'
  )
  const selectParts = db.prepare<[string], [string, Buffer]>('SELECT name, bytes FROM tree_cache WHERE key = ?').raw()
  const insertPart = db.prepare('INSERT INTO tree_cache (key, name, bytes) VALUES (?, ?, ?)')
  const replaceImport = db.prepare<[ImportRow]>(REPLACE_IMPORT)

  function lastImport(): ImportRecord | undefined {
    const row = selectImport.get()
    return row && { ...row, warnings: JSON.parse(row.warnings) as string[] }
  }

  function putNodes(nodes: readonly StoredNode[]): void {
    const inGroups = nodes.length - (nodes.length % ROWS_PER_INSERT)
    for (let start = 0; start < inGroups; start += ROWS_PER_INSERT) {
      const values: (string | number | null)[] = []
      for (let position = start; position < start + ROWS_PER_INSERT; position++) {
        pushNode(values, position, nodes[position])
      }
      insertNodes.run(values)
    }
    for (let position = inGroups; position < nodes.length; position++) {
      const values: (string | number | null)[] = []
      pushNode(values, position, nodes[position])
      insertNode.run(values)
    }
  }

  const replace = db.transaction<TopologyStore['replace']>((source, nodes, certificates, end) => {
    const generation = (lastImport()?.generation ?? 0) + 1
    // without WHERE or RETURNING, SQLite drops all pages at once
    db.exec('DELETE FROM nodes; DELETE FROM certificates; DELETE FROM tree_cache')
    putNodes(nodes)
    let certificateCount = 0
    for (const { fingerprint, nodeId, serial, der } of certificates) {
      insertCertificate.run(fingerprint, nodeId, serial, der)
      certificateCount++
    }
    const { warnings, cache } = end()
    for (const [name, bytes] of cache.parts) insertPart.run(cache.key, name, bytes)
    const record = { ...source, generation, nodeCount: nodes.length, certificateCount, warnings: [...warnings] }
    replaceImport.run({ ...record, warnings: JSON.stringify(record.warnings) })
    return record
  })

  return {
    lastImport,
    *nodes() {
      for (const [id, hostname, policyServer, keyHash] of translatedRows(selectNodes.iterate())) {
        yield { id, hostname, policyServer, keyHash: keyHash ?? undefined }
      }
    },
    *certificates() {
      for (const [fingerprint, nodeId, serial] of translatedRows(selectCertificates.iterate()))
        yield { fingerprint, nodeId, serial }
    },
    certificatesOf: nodeId => selectDer.all(nodeId),
    cached: key => new Map(selectParts.all(key)),
    replace: replace.immediate
  }
}

function nodeInsert(rows: number): string {
  const places = Array.from({ length: rows }, () => '(?, ?, ?, ?, ?)').join(', ')
  return `INSERT INTO nodes (position, id, hostname, policy_server, key_hash) VALUES ${places}`
}

function pushNode(values: (string | number | null)[], position: number, node: StoredNode | undefined): void {
  if (node) values.push(position, node.id, node.hostname, node.policyServer, node.keyHash ?? null)
}
