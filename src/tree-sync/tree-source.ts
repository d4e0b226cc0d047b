import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Neighbours } from '../hops/hop.js'
import type { Tree } from '../tree/tree-service.js'
import { RelayError } from '../values/failures/relay-error.js'
import type { Logger } from '../values/logger.js'
import type { Difference } from './change-log.js'
import { END_LINE, formatEntry, formatHeader, formatRemoved, isVersion } from './tree-lines.js'
import type { TreeVersion, TreeVersions } from './tree-versions.js'

/** Where a relay below is told that its part has changed, as a `HopRequest` has it. */
export const NOTICE_PATH = 'v1/tree/changed'
/** Nodes of a difference; with more, the whole is sent. The receiver keeps a difference in memory. */
export const MAX_DIFFERENCE_NODES = 10_000
/** Trees being sent at once. */
export const MAX_ANSWERS = 64
/** Relays that are told of changes. */
const MAX_SUBSCRIBERS = 20_000
/** Relays being told at once. */
const NOTICES_AT_ONCE = 16
const CHUNK_LENGTH = 64 * 1024
/** Nodes looked at before requests get their turn. */
const NODES_PER_TURN = 200
const NOTICE_SILENCE_MS = 10_000

export interface TreeQuestion {
  /** Versions that the caller has: one of them is answered with `same`. */
  readonly has?: readonly string[] | undefined
  /** The version to which a difference is wanted. */
  readonly since?: string | undefined
  /** Whether the relay itself asks, which then is told of changes. */
  readonly isItself: boolean
}

export type TreeAnswer =
  | { readonly kind: 'same'; readonly version: string }
  | {
      readonly kind: 'whole' | 'difference'
      readonly version: string
      /** Lines, in pieces. Throws when the tree changes meanwhile. */
      readonly body: AsyncIterable<Buffer>
    }

/** Gives relays below their parts of the tree, and tells them when these change. */
export interface TreeSource {
  /**
   * @param relay any node of the tree; who may ask for it, the caller decides
   * @throws {RelayError} UNKNOWN_NODE; BUSY
   */
  part(relay: string, question: TreeQuestion): Promise<TreeAnswer>
  /** Resolves when nobody is being told of anything. */
  stop(): Promise<void>
}

export interface TreeSourceOptions {
  readonly tree: Pick<Tree, 'current' | 'certificatesOf' | 'onChange'>
  readonly versions: TreeVersions
  readonly neighbours: Pick<Neighbours, 'down'>
  readonly logger: Logger
}

export function createTreeSource({ tree, versions, neighbours, logger }: TreeSourceOptions): TreeSource {
  /** The version that each relay was given or told of last. */
  const subscribers = new Map<string, string>()
  const stopping = new AbortController()
  let answers = 0
  let telling: Promise<void> | undefined
  let isStale = false
  const unsubscribe = tree.onChange(tellOfChanges)

  function tellOfChanges(): void {
    if (subscribers.size === 0 || stopping.signal.aborted) return
    isStale = true
    telling ??= tellAll()
      .catch((error: unknown) => logger.error({ err: error }, 'cannot tell relays below of their trees'))
      .finally(() => {
        telling = undefined
      })
  }

  async function part(relay: string, { has = [], since, isItself }: TreeQuestion): Promise<TreeAnswer> {
    const version = await versions.current()
    const { topology } = version
    if (topology.slotOf(relay) === undefined && relay !== topology.selfId) {
      throw new RelayError('UNKNOWN_NODE', `node ${relay} is not in the nodes list of ${topology.selfId}`)
    }
    const digest = versions.digestOf(version, relay)
    const isSame = has.includes(digest)
    if (!isSame && answers >= MAX_ANSWERS) {
      throw new RelayError('BUSY', `${MAX_ANSWERS} trees are being sent already; ask again in a moment`)
    }
    const difference = since === undefined || isSame ? undefined : shortDifference(version, relay, since)
    if (isItself) {
      versions.remember(version, relay)
      if (subscribers.size < MAX_SUBSCRIBERS || subscribers.has(relay)) subscribers.set(relay, digest)
      if (tree.current() !== version.topology) tellOfChanges() // the tree changed before there was anyone to be told
    }
    if (isSame) return { kind: 'same', version: digest }
    return {
      kind: difference === undefined ? 'whole' : 'difference',
      version: digest,
      body: counted(lines(version, relay, digest, difference, since))
    }
  }

  function shortDifference(version: TreeVersion, relay: string, since: string): Difference | undefined {
    const difference = isVersion(since) ? versions.differenceSince(version, relay, since) : undefined
    if (difference === undefined) return undefined
    const [start, end] = version.topology.slotsBelow(relay)
    const count = difference.put.length + difference.removed.length
    return count > MAX_DIFFERENCE_NODES || difference.put.length > end - start ? undefined : difference
  }

  async function* counted(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    answers += 1
    try {
      yield* body
    } finally {
      answers -= 1
    }
  }

  async function* lines(
    { topology }: TreeVersion,
    relay: string,
    version: string,
    difference: Difference | undefined,
    since: string | undefined
  ): AsyncGenerator<Buffer> {
    const base = difference === undefined ? undefined : since
    let text = formatHeader({ relay, version, generation: topology.version, base })
    let count = 0
    for (const id of difference?.put ?? itselfAndBelow(relay, topology.below(relay))) {
      const node = topology.find(id)
      // certificates are those of the present tree, so that another one would be mixed with this
      if (tree.current() !== topology) {
        // its part may be the same in the new one: then nothing else would tell it to ask again
        if (subscribers.has(relay)) subscribers.set(relay, '')
        tellOfChanges()
        throw new Error('the tree has changed while it was sent')
      }
      if (node !== undefined) text += formatEntry({ ...node, certificates: tree.certificatesOf(id) })
      count += 1
      if (text.length >= CHUNK_LENGTH) {
        yield Buffer.from(text)
        text = ''
      }
      if (count % NODES_PER_TURN === 0) await nextTurn()
    }
    for (const id of difference?.removed ?? []) text += formatRemoved(id)
    yield Buffer.from(text + END_LINE)
  }

  async function tellAll(): Promise<void> {
    while (isStale && !stopping.signal.aborted) {
      isStale = false
      const version = await versions.current()
      const { topology } = version
      const changed: string[] = []
      for (const [relay, told] of subscribers) {
        if (relay === topology.selfId || topology.route(relay).kind !== 'here') {
          subscribers.delete(relay)
          continue
        }
        const digest = versions.digestOf(version, relay)
        if (digest === told) continue
        subscribers.set(relay, digest)
        changed.push(relay)
      }
      const next = changed.values()
      const workers = Array.from({ length: Math.min(NOTICES_AT_ONCE, changed.length) }, async () => {
        for (const relay of next) await tell(relay)
      })
      await Promise.all(workers)
    }
  }

  async function tell(relay: string): Promise<void> {
    if (stopping.signal.aborted) return
    try {
      const outcome = await neighbours.down(relay).request({
        method: 'POST',
        path: NOTICE_PATH,
        headers: {},
        silenceLimitMs: NOTICE_SILENCE_MS,
        signal: stopping.signal
      })
      if (outcome.kind !== 'unreachable') outcome.body.resume().on('error', () => undefined)
      // it will ask by itself; one that does not want to know is left alone until it asks again
      if (outcome.kind === 'refused') subscribers.delete(relay)
      logger.debug({ relay, outcome: outcome.kind }, 'told that its tree has changed')
    } catch (error) {
      if (!stopping.signal.aborted) logger.debug({ relay, err: error }, 'could not be told that its tree has changed')
    }
  }

  return {
    part,
    stop: async () => {
      unsubscribe()
      stopping.abort(new Error('the relay stops'))
      await telling
    }
  }
}

function* itselfAndBelow(relay: string, below: Iterable<string>): Generator<string> {
  yield relay
  yield* below
}
