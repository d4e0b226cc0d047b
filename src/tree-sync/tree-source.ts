import type { Readable } from 'node:stream'
import type { Neighbours } from '../hops/hop.js'
import { TurnLimit } from '../process/pacing/turn-limit.js'
import type { Tree } from '../tree/tree-service.js'
import { RelayError } from '../values/failures/relay-error.js'
import type { Logger } from '../values/logging/logger.js'
import { AnswerSlots } from './answer-slots.js'
import type { Difference } from './change-log.js'
import { END_LINE, formatEntry, formatHeader, formatRemoved, isVersion } from './tree-lines.js'
import { TreeNotices } from './tree-notices.js'
import type { TreeVersion, TreeVersions } from './tree-versions.js'

/** Nodes of a difference; with more, the whole is sent. The receiver keeps a difference in memory. */
export const MAX_DIFFERENCE_NODES = 10_000
const CHUNK_LENGTH = 64 * 1024

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
      /** Lines. It fails when the tree changes meanwhile, or when the relay asks again. The caller reads or destroys it. */
      readonly body: Readable
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

/** The part that one relay is sent. */
interface Part {
  readonly version: TreeVersion
  readonly relay: string
  readonly digest: string
  /** Undefined: the whole part is sent. */
  readonly difference: Difference | undefined
  /** The version that the difference starts from. */
  readonly base: string | undefined
}

export interface TreeSourceOptions {
  readonly tree: Pick<Tree, 'current' | 'certificatesOf' | 'onChange'>
  readonly versions: TreeVersions
  readonly neighbours: Pick<Neighbours, 'down'>
  readonly logger: Logger
}

export function createTreeSource(options: TreeSourceOptions): TreeSource {
  return new TreeParts(options)
}

class TreeParts implements TreeSource {
  readonly #notices: TreeNotices
  readonly #slots = new AnswerSlots()
  /** All relays ask in the same moment: when the tree has changed, and after a restart. */
  readonly #turns = new TurnLimit()
  readonly #unsubscribe: () => void

  constructor(private readonly options: TreeSourceOptions) {
    this.#notices = new TreeNotices(options)
    this.#unsubscribe = options.tree.onChange(() => this.#endAnswersOfFormerTree())
  }

  async part(relay: string, { has = [], since, isItself }: TreeQuestion): Promise<TreeAnswer> {
    const { tree, versions } = this.options
    let version = await versions.current()
    while (this.#turns.isOver) {
      await this.#turns.next()
      version = await versions.current()
    }
    const { topology } = version
    if (topology.positionOf(relay) === undefined && relay !== topology.selfId) {
      throw new RelayError('UNKNOWN_NODE', `node ${relay} is not in the nodes list of ${topology.selfId}`)
    }
    const digest = versions.digestOf(version, relay)
    const isSame = has.includes(digest)
    const receiver = isItself ? relay : undefined
    if (!isSame) this.#slots.check(receiver)
    const difference = since === undefined || isSame ? undefined : this.#shortDifference(version, relay, since)
    if (isItself) {
      versions.remember(version, relay)
      this.#notices.subscribe(relay, digest)
      if (tree.current() !== version.topology) this.#notices.tellOfChanges() // it changed before there was a subscriber
    }
    if (isSame) return { kind: 'same', version: digest }
    const part: Part = { version, relay, digest, difference, base: difference === undefined ? undefined : since }
    return {
      kind: difference === undefined ? 'whole' : 'difference',
      version: digest,
      body: this.#slots.send(receiver, this.#lines(part))
    }
  }

  stop(): Promise<void> {
    this.#unsubscribe()
    return this.#notices.stop()
  }

  /** An answer that nobody reads would hold a former tree in memory, until somebody did and it failed. */
  #endAnswersOfFormerTree(): void {
    for (const relay of this.#slots.endAll(changed())) this.#notices.forgetVersionOf(relay)
    this.#notices.tellOfChanges()
  }

  #shortDifference(version: TreeVersion, relay: string, since: string): Difference | undefined {
    const difference = isVersion(since) ? this.options.versions.differenceSince(version, relay, since) : undefined
    if (difference === undefined) return undefined
    const [start, end] = version.topology.positionsBelow(relay)
    const count = difference.put.length + difference.removed.length
    return count > MAX_DIFFERENCE_NODES || difference.put.length > end - start ? undefined : difference
  }

  async *#lines({ version: { topology }, relay, digest, difference, base }: Part): AsyncGenerator<Buffer> {
    const { tree } = this.options
    let text = formatHeader({ relay, version: digest, generation: topology.version, base })
    for (const id of difference?.put ?? itselfAndBelow(relay, topology.below(relay))) {
      const node = topology.find(id)
      // certificates are those of the present tree, so that another one would be mixed with this
      if (tree.current() !== topology) {
        this.#notices.forgetVersionOf(relay) // else, where its part is the same in the new tree, nothing makes it ask
        this.#notices.tellOfChanges()
        throw changed()
      }
      if (node !== undefined) text += formatEntry({ ...node, certificates: tree.certificatesOf(id) })
      if (text.length >= CHUNK_LENGTH) {
        yield Buffer.from(text)
        text = ''
      }
      if (this.#turns.isOver) await this.#turns.next()
    }
    for (const id of difference?.removed ?? []) text += formatRemoved(id)
    yield Buffer.from(text + END_LINE)
  }
}

function changed(): Error {
  return new Error('the tree has changed while it was sent')
}

function* itselfAndBelow(relay: string, below: Iterable<string>): Generator<string> {
  yield relay
  yield* below
}
