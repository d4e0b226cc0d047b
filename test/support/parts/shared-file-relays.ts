import { createHash, generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { TestContext } from 'node:test'
import { type Dialect, TREELINE } from '../../../src/hops/dialect.js'
import { type Hop, type HopOutcome, type HopRequest, type Neighbours, POLICY_SERVER } from '../../../src/hops/hop.js'
import { formatMetadata, type HashAlgorithm } from '../../../src/keys/signatures/file-metadata.js'
import { type SigningKey, signFile, signingKeySpki } from '../../../src/keys/signatures/sign-file.js'
import type { Caller, Origin } from '../../../src/network/caller.js'
import {
  ACCEPTED_AT_HEADER,
  PASSED_HEADER,
  RELAY_HEADER,
  SOURCE_KEY_HASH_HEADER,
  STATE_HEADER
} from '../../../src/network/header-names.js'
import { NetworkSet } from '../../../src/network/network-set.js'
import type { PutOutcome, PutRequest, SharedFiles } from '../../../src/shared-files/file-types.js'
import { statedAcceptance } from '../../../src/shared-files/forwarding/acceptance-headers.js'
import { createSharedFiles, type SharedFilesOptions } from '../../../src/shared-files/shared-files.js'
import { Claims } from '../../../src/storage/sqlite/claims.js'
import { createFileRepository } from '../../../src/storage/sqlite/sqlite-files.js'
import { createOutboxRepository } from '../../../src/storage/sqlite/sqlite-outbox.js'
import { type Database, openDatabase } from '../../../src/storage/sqlite-engine/database.js'
import { numberNodes } from '../../../src/tree/index/numbered-nodes.js'
import { packTree } from '../../../src/tree/index/packed-tree.js'
import { TopologyIndex } from '../../../src/tree/index/topology-index.js'
import type { Topology } from '../../../src/tree/topology.js'
import { HopRefusedError, RelayError } from '../../../src/values/failures/relay-error.js'
import type { FileKey } from '../../../src/values/ids.js'
import { silentLogger } from '../../../src/values/logging/logger.js'
import { parsePassed } from '../../../src/values/passed-relays.js'
import { type TestNode, toTreeNode } from './trees.js'

export const rsaKey: SigningKey = {
  kind: 'rsa',
  key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
}
export const otherRsaKey: SigningKey = {
  kind: 'rsa',
  key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
}
export const ed25519Key: SigningKey = { kind: 'ed25519', seed: createHash('sha256').update('a test').digest() }

export const LOCAL: Caller = { kind: 'local', address: '127.0.0.1' }

export function keyHashOf(key: SigningKey): string {
  return `sha256:${createHash('sha256').update(signingKeySpki(key)).digest('hex')}`
}

export function topologyOf(selfId: string, nodes: readonly TestNode[]): Topology {
  const list = nodes.map(toTreeNode).sort((a, b) => (a.id < b.id ? -1 : 1))
  return new TopologyIndex(packTree(numberNodes(list), selfId), selfId, 1)
}

/** root – n1, relay (– n2); n1 and n2 have the RSA key, e1 the Ed25519 one, keyless has none. */
export const WHOLE_TREE: readonly TestNode[] = [
  { id: 'root', policyServer: 'root', keyHash: keyHashOf(rsaKey) },
  { id: 'n1', policyServer: 'root', keyHash: keyHashOf(rsaKey) },
  { id: 'e1', policyServer: 'root', keyHash: keyHashOf(ed25519Key) },
  { id: 'keyless', policyServer: 'root' },
  { id: 'relay', policyServer: 'root', keyHash: keyHashOf(rsaKey) },
  { id: 'n2', policyServer: 'relay', keyHash: keyHashOf(rsaKey) }
]
/** The part of the tree that `relay` knows. */
export const BELOW_RELAY: readonly TestNode[] = WHOLE_TREE.filter(({ id }) => id === 'n2' || id === 'relay')

export interface SignedBytes {
  readonly key: FileKey
  readonly hash: string
  readonly metadata: string
  readonly content: Buffer
  readonly body: Buffer
}

export function sign(
  path: string,
  content: Buffer | string,
  {
    key = rsaKey,
    algorithm = 'sha512',
    signedAtMs = 1,
    extra = {}
  }: { key?: SigningKey; algorithm?: HashAlgorithm; signedAtMs?: number; extra?: Record<string, string> } = {}
): SignedBytes {
  const [target = '', source = '', fileId = ''] = path.split('/')
  const fileKey = { target, source, fileId }
  const bytes = Buffer.from(content)
  const hash = createHash(algorithm).update(bytes).digest('hex')
  const metadata = formatMetadata(signFile(key, fileKey, { algorithm, hashValue: hash, signedAtMs }, extra))
  return { key: fileKey, hash, metadata, content: bytes, body: Buffer.concat([Buffer.from(`${metadata}\n`), bytes]) }
}

export function originOf(caller: Caller = LOCAL, passed: readonly string[] = []): Origin {
  return { caller, passed, requestId: 'test', signal: new AbortController().signal }
}

export function putRequest(file: SignedBytes, changes: Partial<PutRequest> = {}): PutRequest {
  return {
    key: file.key,
    query: { ttl: '1h' },
    contentLength: file.body.length,
    isPassedOn: false,
    body: Readable.from([file.body], { objectMode: false }),
    origin: originOf(),
    sourceKeyHash: undefined,
    stated: undefined,
    onContinue: () => undefined,
    ...changes
  }
}

/** The statement of a relay that knows no series. */
export function statedAt(acceptedAtMs: number): Partial<PutRequest> {
  return { stated: { acceptedAtMs, series: undefined, seriesNumber: undefined, sentAtMs: undefined } }
}

export interface TestRelay {
  readonly files: SharedFiles
  readonly folder: string
  readonly db: Database
  readonly hops: ReadonlyMap<string, TestHop>
  /** Ms since 1970, as the relay sees it; may be moved. */
  readonly clock: { nowMs: number }
  put(file: SignedBytes, changes?: Partial<PutRequest>): Promise<PutOutcome>
  head(file: SignedBytes, hash?: string): Promise<boolean>
  /** Ends it as a stop of the process that leaves everything in order. */
  stop(): Promise<void>
}

export interface TestRelayOptions {
  readonly selfId?: string
  readonly nodes?: readonly TestNode[]
  /** The hops, by id. */
  readonly hops?: readonly TestHop[]
  readonly config?: Partial<SharedFilesOptions['config']>
  readonly more?: Partial<SharedFilesOptions>
  /** The folder of an earlier relay, to start again on what it left. */
  readonly folder?: string
  readonly topology?: () => Topology
  /** Its claims on entries of the outbox. */
  readonly claims?: Claims
}

/** A relay's shared files in a folder of their own. They are stopped, and the folder removed, at the end of the test. */
export async function startSharedFiles(t: TestContext, options: TestRelayOptions = {}): Promise<TestRelay> {
  const relay = await openSharedFiles(options)
  t.after(async () => {
    await relay.stop()
    await rm(relay.folder, { recursive: true, force: true })
  })
  return relay
}

/** Does the same as {@link startSharedFiles}; the caller stops it, or is killed. */
export async function openSharedFiles(options: TestRelayOptions = {}): Promise<TestRelay> {
  const { selfId = 'root', nodes = WHOLE_TREE, hops = [], config = {}, more = {}, claims = new Claims() } = options
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'treeline-files-')))
  const db = openDatabase(join(folder, 'state.db'), 'state')
  const topology = topologyOf(selfId, nodes)
  const byId = new Map(hops.map(hop => [hop.id, hop]))
  const clock = { nowMs: Date.now() }
  const files = createSharedFiles({
    config: {
      path: join(folder, 'shared-files'),
      maxBodyBytes: 50 * 1024 * 1024,
      cleanupFrequency: { everyMs: 600_000 },
      maxTotalBytes: undefined,
      maxFilesPerSource: undefined,
      allowedNetworks: new NetworkSet(['0.0.0.0/0', '::/0']),
      allowSha1: false,
      requireSender: false,
      ...config
    },
    selfId,
    topology: options.topology ?? (() => topology),
    neighbours: neighboursOf(byId),
    fileRepository: createFileRepository(db, claims),
    outboxRepository: createOutboxRepository(db, claims),
    storagePath: folder,
    logger: silentLogger,
    now: () => clock.nowMs,
    monotonicNow: () => clock.nowMs,
    ...more
  })
  let isStopped = false
  async function stop(): Promise<void> {
    if (isStopped) return
    isStopped = true
    await files.stop()
    db.close()
  }
  await files.recover()
  return {
    files,
    folder,
    db,
    hops: byId,
    clock,
    put: (file, changes) => files.put(putRequest(file, changes)),
    head: async (file, hash = file.hash) => files.head(file.key, hash, originOf()),
    stop
  }
}

function neighboursOf(hops: ReadonlyMap<string, TestHop>): Neighbours {
  function hop(id: string): Hop {
    const found = hops.get(id)
    if (found === undefined) throw new RelayError('UNKNOWN_NODE', `no hop ${id}`)
    return found
  }
  const linked = (id: string) => (hops.get(id)?.isLinked === true ? hops.get(id) : undefined)
  return { linked, down: hop, up: () => hop(POLICY_SERVER), close: async () => undefined }
}

/** A neighbour in the same process. It is away, leads to another relay's files, or answers as it is told. */
export class TestHop implements Hop {
  dialect: Dialect = TREELINE
  /** Whether it holds a link. */
  isLinked = false
  /** Requests that it was asked, oldest first. */
  readonly requests: HopRequest[] = []
  answer: (request: HopRequest, body: Buffer) => HopOutcome | Promise<HopOutcome> = () => UNREACHABLE

  constructor(readonly id: string) {}

  async request(request: HopRequest): Promise<HopOutcome> {
    this.requests.push(request)
    request.signal?.throwIfAborted()
    const body = request.body?.() ?? Buffer.alloc(0)
    return this.answer(request, Buffer.isBuffer(body) ? body : Buffer.concat(await body.toArray()))
  }

  /** Its answers come from `files`, asked by `caller`. */
  leadTo(files: SharedFiles, caller: Caller): void {
    this.answer = (request, body) => askFiles(files, caller, request, body)
  }

  goAway(): void {
    this.answer = () => UNREACHABLE
  }
}

export const UNREACHABLE: HopOutcome = { kind: 'unreachable', reason: 'connection refused', sent: false }

export function outcome(status: number, text = '', headers: Record<string, string> = {}): HopOutcome {
  const body = Readable.from([Buffer.from(text)])
  if (status >= 500) return { kind: 'unreachable', reason: `it answered ${status}`, status, sent: true }
  return { kind: status < 400 ? 'answered' : 'refused', status, headers, body }
}

const STATUS: Partial<Record<RelayError['code'], number>> = {
  INVALID_INPUT: 400,
  FORBIDDEN: 403,
  BAD_SIGNATURE: 403,
  UNKNOWN_NODE: 404,
  UNKNOWN_SOURCE: 404,
  NOT_FOUND: 404,
  LOOP_DETECTED: 508
}

async function askFiles(files: SharedFiles, caller: Caller, request: HopRequest, body: Buffer): Promise<HopOutcome> {
  const ours = { [RELAY_HEADER]: '1' }
  const url = new URL(request.path, 'http://relay/')
  const [, , target = '', source = '', fileId = ''] = url.pathname.split('/')
  const key = { target, source, fileId }
  const { headers } = request
  const origin = originOf(caller, parsePassed(headers[PASSED_HEADER]))
  const query = Object.fromEntries(url.searchParams)
  try {
    if (request.method === 'HEAD')
      return outcome((await files.head(key, query.hash ?? '', origin)) ? 200 : 404, '', ours)
    if (request.method === 'GET') {
      const file = await files.get(key, origin, headers)
      return outcome(200, file.kind === 'kept' ? file.path : '', ours)
    }
    const done = await files.put({
      key,
      query,
      contentLength: Number(headers['content-length']),
      isPassedOn: headers[ACCEPTED_AT_HEADER] !== undefined,
      body: Readable.from([body], { objectMode: false }),
      origin,
      sourceKeyHash: headers[SOURCE_KEY_HASH_HEADER],
      stated: statedAcceptance(name => headers[name], caller),
      onContinue: () => undefined
    })
    return outcome(done === 'pending' ? 202 : 200, '', { ...ours, ...(done === 'pending' && { [STATE_HEADER]: done }) })
  } catch (error) {
    if (error instanceof HopRefusedError) return outcome(error.status, error.message, ours)
    if (error instanceof RelayError) return outcome(STATUS[error.code] ?? 503, error.message, ours)
    throw error
  }
}
