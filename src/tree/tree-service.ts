import { existsSync, statSync } from 'node:fs'
import { type Database, openDatabase } from '../storage/sqlite-engine/database.js'
import { createTopologyStore, type ImportRecord } from '../storage/topology/topology-store.js'
import { NO_FILES } from '../values/failures/file-failure.js'
import { RelayError } from '../values/failures/relay-error.js'
import { errorMessage } from '../values/failures/system-error.js'
import type { Logger } from '../values/logging/logger.js'
import { isoTime } from '../values/time/iso-time.js'
import { type ImportRunAnswer, type ImportRunRequest, isUseless, runImport } from './import/import-run.js'
import { answerOf, startImportThread } from './import/import-thread.js'
import { CertificateIndex } from './index/certificate-index.js'
import { TopologyIndex } from './index/topology-index.js'
import type { OrderedTopology, Topology } from './topology.js'

export interface TreeOptions {
  /** The `topology` database; made if it is not there. */
  readonly databaseFile: string
  readonly nodesListFile: string
  readonly nodesCertsFile: string
  readonly selfId: string
  /** Whether somebody else writes the nodes list, so that at first there may be none. @default false */
  readonly listIsToCome?: boolean
  /** When what the disk did not allow is tried again, in ms. @default 30,000 */
  readonly retryMs?: number
  readonly logger: Logger
}

export interface TreeStatus {
  /** `error`: the last import failed, and the tree before it is still in place. */
  readonly state: 'success' | 'error'
  /** The problem, and its file. */
  readonly details?: string
  /** When the tree in place was imported; undefined while there is none. */
  readonly importedAtMs: number | undefined
  readonly nodeCount: number
  readonly certificateCount: number
  /** Entries that the import left out, and why; at most 21. */
  readonly warnings: readonly string[]
}

export interface ImportReport extends TreeStatus {
  /** Whether another tree is in place now. */
  readonly changed: boolean
  /** Whether it was the disk that failed: the tree may be that of the files all the same. */
  readonly isOfDisk: boolean
  readonly durationMs: number
}

/** The tree below this relay: imports it, keeps it in SQLite, and has the index over the present one. */
export interface Tree {
  /**
   * Puts in place the tree of the files or, when these cannot be used, that of the last import; empty when there
   * was none. Never rejects: {@link status} says what went wrong.
   */
  load(): Promise<ImportReport>
  /**
   * Imports the files again. Only one import runs at a time: asked for meanwhile, one more follows, shared by all who
   * asked. Never rejects: a failure is in the report, and the present tree stays.
   */
  reload(): Promise<ImportReport>
  current(): OrderedTopology
  status(): TreeStatus
  /** The certificates listed for a node, DER. */
  certificatesOf(nodeId: string): Buffer[]
  /** The node for which a certificate is listed. @param sha256 of the DER: 32 bytes, or lower-case hex */
  nodeByFingerprint(sha256: string | Buffer): string | undefined
  /** The position in the present topology of its node, and the SHA-256 of the DER, of every certificate. */
  fingerprints(): Iterable<readonly [position: number, fingerprint: Buffer]>
  /** @param listener is called with each tree that is put in place. @returns a function that ends this */
  onChange(listener: (topology: Topology) => void): () => void
  /** Waits for an import under way; none can be asked for afterwards. */
  close(): Promise<void>
}

/** @returns a tree without nodes: await {@link Tree.load}. The caller closes it */
export function createTree(options: TreeOptions): Tree {
  return new TreeService(options)
}

const RETRY_MS = 30_000
const STOPPING = 'the relay is stopping'

/**
 * The size up to which lists are read without a thread at the start, when nobody waits for an answer yet: the relay
 * is ready sooner.
 */
const SMALL_BYTES = 256 * 1024

class TreeService implements Tree {
  readonly #options: TreeOptions
  readonly #listeners = new Set<(topology: Topology) => void>()
  #index: TopologyIndex
  #certificates: CertificateIndex | undefined
  #record: ImportRecord | undefined
  #failure: string | undefined
  #running: Promise<ImportReport> | undefined
  #next: Promise<ImportReport> | undefined
  #reader: { db: Database; certificatesOf(nodeId: string): Buffer[] } | undefined
  /** While a thread is there. */
  #workerEnded: Promise<void> | undefined
  #isUseless = false
  #isClosed = false
  #retry: NodeJS.Timeout | undefined

  constructor(options: TreeOptions) {
    this.#options = options
    this.#index = TopologyIndex.empty(options.selfId)
  }

  load(): Promise<ImportReport> {
    const { nodesListFile, nodesCertsFile } = this.#options
    return this.#running ? this.reload() : this.#start(areSmall(nodesListFile, nodesCertsFile))
  }

  reload(): Promise<ImportReport> {
    if (!this.#running) return this.#start()
    this.#next ??= this.#running.then(() => {
      this.#next = undefined
      return this.#start()
    })
    return this.#next
  }

  current(): OrderedTopology {
    return this.#index
  }

  status(): TreeStatus {
    return {
      state: this.#failure === undefined ? 'success' : 'error',
      ...(this.#failure !== undefined && { details: this.#failure }),
      importedAtMs: this.#record?.importedAtMs,
      nodeCount: this.#index.size,
      certificateCount: this.#record?.certificateCount ?? 0,
      warnings: this.#record?.warnings ?? []
    }
  }

  certificatesOf(nodeId: string): Buffer[] {
    if (!this.#record || this.#isClosed) return []
    try {
      return this.#openReader().certificatesOf(nodeId)
    } catch (error) {
      throw this.#damaged(error)
    }
  }

  nodeByFingerprint(sha256: string | Buffer): string | undefined {
    const fingerprint = typeof sha256 === 'string' ? Buffer.from(sha256, 'hex') : sha256
    const position = this.#certificates?.ownerOf(fingerprint)
    return position === undefined ? undefined : this.#index.idAt(position)
  }

  fingerprints(): Iterable<readonly [position: number, fingerprint: Buffer]> {
    return this.#certificates?.entries() ?? []
  }

  onChange(listener: (topology: Topology) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#retry)
    await this.#next
    await this.#running
    await this.#workerEnded
    this.#closeReader()
  }

  #closeReader(): void {
    this.#reader?.db.close()
    this.#reader = undefined
  }

  /**
   * Handles damage of the stored tree, which is a copy: it is made anew at once, beside requests.
   * @returns what to throw meanwhile
   */
  #damaged(error: unknown): unknown {
    if (!isUseless(error)) return error
    this.#isUseless = true
    void this.reload() // never rejects
    const { databaseFile } = this.#options
    const text = `the stored tree ${databaseFile} was damaged, and is made anew now; try again in a moment`
    return new RelayError('STORAGE_UNUSABLE', text, { cause: error })
  }

  #start(isInPlace = false): Promise<ImportReport> {
    this.#running = this.#import(isInPlace).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #import(isInPlace: boolean): Promise<ImportReport> {
    const startedAt = performance.now()
    clearTimeout(this.#retry)
    const { failure, tree, aside, isOfDisk = false, isUnstored = false } = await this.#ask(isInPlace)
    this.#failure = failure
    if (isOfDisk && !this.#isClosed) {
      this.#retry = setTimeout(() => void this.reload(), this.#options.retryMs ?? RETRY_MS).unref() // never rejects
    }
    if (aside !== undefined)
      this.#options.logger.warn(
        { aside },
        'stored tree was damaged, or of a newer version; imported again from the nodes list'
      )
    if (tree !== undefined || aside !== undefined) this.#closeReader() // its file may be another one now
    if (tree) this.#put(tree)
    const durationMs = Math.round(performance.now() - startedAt)
    const report = { ...this.status(), changed: tree !== undefined, isOfDisk, durationMs }
    if (failure !== STOPPING) this.#log(report, isUnstored)
    return report
  }

  async #ask(isInPlace: boolean): Promise<ImportRunAnswer> {
    if (this.#isClosed) return { failure: STOPPING, tree: undefined }
    // It hands over the tree before it ends, and two must not write at once. Without one, the thread starts before this returns: what
    // the program loads next would hold it up.
    if (this.#workerEnded !== undefined) await this.#workerEnded
    const { databaseFile, nodesListFile, nodesCertsFile, selfId } = this.#options
    const request: ImportRunRequest = {
      databaseFile,
      nodesListFile,
      nodesCertsFile,
      selfId,
      knownGeneration: this.#record?.generation ?? 0,
      isUseless: this.#isUseless
    }
    this.#isUseless = false
    try {
      if (isInPlace) return answerInPlace(request)
      const worker = startImportThread(request)
      this.#workerEnded = new Promise(resolve => {
        worker.once('exit', () => {
          this.#workerEnded = undefined
          resolve()
        })
      })
      return await answerOf(worker)
    } catch (error) {
      return { failure: `cannot import the nodes list: ${whyNotImported(error)}`, tree: undefined }
    }
  }

  #put({ record, packed }: NonNullable<ImportRunAnswer['tree']>): void {
    this.#index = new TopologyIndex(packed.tree, this.#options.selfId, this.#index.version + 1)
    this.#certificates = new CertificateIndex(packed.certificates)
    this.#record = record
    for (const listener of this.#listeners) listener(this.#index)
  }

  #log({ warnings, details, importedAtMs, isOfDisk, ...rest }: ImportReport, isUnstored: boolean): void {
    const counts = { ...rest, ...(importedAtMs === undefined ? {} : { importedAt: isoTime(importedAtMs) }) }
    const { logger, listIsToCome = false, nodesListFile } = this.#options
    const isWaiting = listIsToCome && this.#record === undefined && !existsSync(nodesListFile)
    if (isWaiting) logger.info({}, 'waiting for the first tree from the policy server')
    else if (isUnstored)
      logger.error({ ...counts, details }, 'tree imported, but not stored; it is in force until the relay ends')
    else if (details !== undefined)
      logger.error({ ...counts, details }, 'cannot import the nodes list; the former tree stays in force')
    else logger.info(counts, counts.changed ? 'tree imported' : 'nodes list unchanged')
    if (counts.changed) for (const warning of warnings) logger.warn({}, warning)
  }

  #openReader() {
    if (!this.#reader) {
      const db = openDatabase(this.#options.databaseFile, 'topology')
      const { certificatesOf } = createTopologyStore(db)
      this.#reader = { db, certificatesOf }
    }
    return this.#reader
  }
}

/** Whether reading these files takes less than starting a thread for it. Missing ones do. */
function areSmall(...files: string[]): boolean {
  try {
    const sizes = files.map(file => statSync(file, { throwIfNoEntry: false })?.size ?? 0)
    return sizes.reduce((sum, size) => sum + size, 0) <= SMALL_BYTES
  } catch {
    return false // the import will say what is wrong with them
  }
}

function answerInPlace(request: ImportRunRequest): ImportRunAnswer {
  let answer: ImportRunAnswer = { failure: undefined, tree: undefined }
  runImport(request, given => {
    answer = given
  })
  return answer
}

/** A thread that cannot be started lacks files in nearly all cases; Node says no more of it than a code in a text. */
function whyNotImported(error: unknown): string {
  const message = errorMessage(error)
  return /\bE[MN]FILE\b/.test(message) ? NO_FILES : message
}
