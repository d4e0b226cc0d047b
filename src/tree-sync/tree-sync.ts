import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Hop, HopRequest } from '../hops/hop.js'
import { readPrefix } from '../hops/read-prefix.js'
import { NDJSON } from '../network/header-names.js'
import { readIdentity } from '../tree/import/certificate-identity.js'
import type { Tree } from '../tree/tree-service.js'
import { errorMessage } from '../values/failures/system-error.js'
import type { Logger } from '../values/logging/logger.js'
import { type Changes, type ReceivedLine, readAnswer, readChanges, type TreeReader } from './answer-reader.js'
import { checkSubtreeFile } from './subtree-check.js'
import { placeTree, writeTree } from './tree-files.js'
import { type TreeEntry, TreeLinesError } from './tree-lines.js'
import type { TreeVersions } from './tree-versions.js'

/** The path at which the policy server is asked, as a `HopRequest` has it. */
export const TREE_PATH = 'v1/tree'
/** All of one attempt: a tree of this program's bounds over a line of 2 MB/s. */
const ATTEMPT_LIMIT_MS = 600_000
const MAX_REASON_BYTES = 1_024
const REASON_LIMIT_MS = 5_000
/** Nodes taken over from the present tree before requests get their turn. */
const NODES_PER_TURN = 500

/** The outcome of an attempt. `failed`: there was no answer, or none that could be used. */
export type SyncOutcome = 'whole' | 'difference' | 'unchanged' | 'failed'

export interface TreeSyncStatus {
  /** The digest of the tree in place; undefined while there is none of this relay. */
  readonly version: string | undefined
  /** When the policy server last said that this is the tree, in ms since 1970; undefined since the start. */
  readonly syncedAtMs: number | undefined
  /** The same by `performance.now`, for its age. */
  readonly syncedAtUptimeMs: number | undefined
  /** Why the last attempt failed; undefined when it did not. */
  readonly problem: string | undefined
}

export interface TreeSyncOptions {
  readonly selfId: string
  readonly tree: Pick<Tree, 'current' | 'certificatesOf' | 'reload' | 'status'>
  readonly versions: TreeVersions
  /** The policy server. */
  readonly upper: () => Hop
  /** The folder of the nodes list and the certificates. */
  readonly folder: string
  readonly logger: Logger
  readonly observer?: {
    synced(outcome: SyncOutcome): void
    bytesReceived(count: number): void
  }
  readonly now?: () => number
}

/** Keeps the tree of this relay the one that its policy server has. Cut off, the last one stays. */
export class TreeSync {
  readonly #stopping = new AbortController()
  readonly #now: () => number
  #status: TreeSyncStatus = {
    version: undefined,
    syncedAtMs: undefined,
    syncedAtUptimeMs: undefined,
    problem: 'not asked yet'
  }
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(private readonly options: TreeSyncOptions) {
    this.#now = options.now ?? Date.now
  }

  get status(): TreeSyncStatus {
    return this.#status
  }

  /**
   * Asks the policy server for what has changed. One attempt at a time; asked for meanwhile, one more follows. Never
   * rejects: {@link status} says what went wrong.
   */
  ask(): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.resolve()
    if (this.#running === undefined) return this.#start()
    this.#next ??= this.#running.then(() => {
      this.#next = undefined
      return this.#stopping.signal.aborted ? undefined : this.#start()
    })
    return this.#next
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the relay stops'))
    await this.#next
    await this.#running
  }

  #start(): Promise<void> {
    this.#running = this.#attempt().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #attempt(): Promise<void> {
    const { logger, observer } = this.options
    let outcome: SyncOutcome = 'failed'
    try {
      const known = await this.#knownVersion()
      this.#status = { ...this.#status, version: known }
      const fetched = await this.#fetch(known)
      outcome = fetched.outcome
      const { version } = fetched
      // in the same turn as the tree was put in place: whoever sees the one sees the other
      this.#status = { version, syncedAtMs: this.#now(), syncedAtUptimeMs: performance.now(), problem: undefined }
      if (outcome !== 'unchanged') logger.info({ version, outcome }, 'tree received from the policy server')
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      const problem = errorMessage(error)
      if (problem !== this.#status.problem)
        logger.warn({ problem }, 'cannot get the tree from the policy server; the last one stays in force')
      this.#status = { ...this.#status, problem }
    }
    observer?.synced(outcome)
  }

  /** Undefined while there is no tree of this relay, or its files are not what is in force. */
  async #knownVersion(): Promise<string | undefined> {
    const { versions, tree, selfId } = this.options
    const version = await versions.current()
    const isInPlace = version.topology.positionOf(selfId) !== undefined && tree.status().state === 'success'
    return isInPlace ? versions.digestOf(version, selfId) : undefined
  }

  async #fetch(known: string | undefined): Promise<{ outcome: SyncOutcome; version: string | undefined }> {
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(ATTEMPT_LIMIT_MS)])
    const body = await this.#request(known, signal)
    if (body === undefined) return { outcome: 'unchanged', version: known }
    try {
      const answer = await readAnswer(body, count => this.options.observer?.bytesReceived(count))
      const { base, version } = answer.header
      const isDifference = base !== undefined
      if (await this.#take(answer, known)) return { outcome: isDifference ? 'difference' : 'whole', version }
      if (!isDifference) throw new TreeLinesError('what it holds is not the version that it says it is')
    } catch (error) {
      if (!(error instanceof TreeLinesError)) throw error
      throw new Error(`the policy server's answer cannot be used: ${error.message}`, { cause: error })
    } finally {
      body.destroy()
    }
    this.options.logger.warn(
      { known },
      'tree difference does not lead to the announced version; requesting the whole tree'
    )
    return this.#fetch(undefined)
  }

  /** @returns undefined when there is nothing new */
  async #request(known: string | undefined, signal: AbortSignal): Promise<Readable | undefined> {
    const request: HopRequest = {
      method: 'GET',
      path: known === undefined ? TREE_PATH : `${TREE_PATH}?since=${known}`,
      headers: { accept: NDJSON, ...(known === undefined ? {} : { 'if-none-match': `"${known}"` }) },
      signal
    }
    const outcome = await this.options.upper().request(request)
    if (outcome.kind === 'unreachable') throw new Error(outcome.reason)
    outcome.body.on('error', () => undefined) // whoever reads it is told
    if (outcome.kind === 'answered' && outcome.status === 200) return outcome.body
    if (outcome.status === 304) {
      outcome.body.resume()
      return undefined
    }
    const text = (await readPrefix(outcome.body, MAX_REASON_BYTES, REASON_LIMIT_MS)).toString('utf8')
    const reason = text
      .replaceAll(/\p{C}+/gu, ' ')
      .trim()
      .slice(0, 300)
    throw new Error(`the policy server answered ${outcome.status}${reason === '' ? '' : `: ${reason}`}`)
  }

  /** @returns whether what came is what it should be; it is in place then */
  async #take({ header, lines }: TreeReader, known: string | undefined): Promise<boolean> {
    const { selfId, folder, tree } = this.options
    if (header.relay !== selfId) throw new TreeLinesError(`it is the tree of ${header.relay.slice(0, 128)}`)
    if (header.base !== undefined && header.base !== known)
      throw new TreeLinesError('it changes a version that is not here')
    const entries = header.base === undefined ? onlyPut(lines) : this.#changed(await readChanges(lines))
    const written = await writeTree(folder, entries, checkCertificate)
    if (written.digest !== header.version) return false
    await checkSubtreeFile({ listFile: written.listFile, selfId })
    this.#stopping.signal.throwIfAborted()
    await placeTree(folder)
    const report = await tree.reload()
    if (report.details !== undefined) throw new Error(report.details)
    return true
  }

  /** The present tree with the changes. */
  async *#changed({ put, removed }: Changes): AsyncGenerator<TreeEntry> {
    const { selfId, tree } = this.options
    const topology = tree.current()
    yield* put.values()
    let count = 0
    for (const id of itselfAndBelow(selfId, topology.below(selfId))) {
      if (++count % NODES_PER_TURN === 0) await nextTurn()
      if (put.has(id) || removed.has(id)) continue
      const node = topology.find(id)
      if (node !== undefined) yield { ...node, certificates: tree.certificatesOf(id) }
    }
  }
}

async function* onlyPut(lines: AsyncIterable<ReceivedLine>): AsyncGenerator<TreeEntry> {
  for await (const { line } of lines) if (line.kind === 'put') yield line.entry
}

function* itselfAndBelow(selfId: string, below: Iterable<string>): Generator<string> {
  yield selfId
  yield* below
}

/** @returns its SHA-256. @throws {TreeLinesError} when it is none, or another node's: the import would skip it */
function checkCertificate(der: Buffer, nodeId: string): Buffer {
  let userIds: readonly string[]
  try {
    userIds = readIdentity(der).userIds
  } catch (error) {
    throw new TreeLinesError(`a certificate of ${nodeId} is none`, { cause: error })
  }
  if (userIds.length === 1 && userIds[0] === nodeId) return createHash('sha256').update(der).digest()
  throw new TreeLinesError(`a certificate of ${nodeId} is of ${JSON.stringify(userIds.join(', ').slice(0, 80))}`)
}
