import { setImmediate as nextTurn } from 'node:timers/promises'
import type { OrderedTopology } from '../tree/topology.js'
import type { Tree } from '../tree/tree-service.js'
import { ChangeLog, type Difference, MAX_LOGGED_NODES, type Touched } from './change-log.js'
import { DIGEST_WORDS, TreeDigest } from './tree-digest.js'

/** Nodes hashed or compared before requests get their turn: a few ms. */
const NODES_PER_TURN = 1_000
/** Versions remembered for each relay. */
const MAX_KNOWN_VERSIONS = 16
/** Relays for which versions are remembered. */
const MAX_KNOWN_RELAYS = 20_000

/** A state of the tree, with the digest of every node and its certificates. */
export interface TreeVersion {
  readonly topology: OrderedTopology
  /** Grows with every state that was looked at. */
  readonly sequence: number
  /** {@link DIGEST_WORDS} numbers for each position. */
  readonly digests: Uint32Array
  /** The digests by relay, as far as they were asked for. */
  readonly parts: Map<string, string>
}

/**
 * The digest of each part of the tree, and the changes since. Costs nothing until it is first asked; from then on
 * each new tree is hashed and compared with the one before, a little at a time.
 */
export class TreeVersions {
  readonly #tree: Pick<Tree, 'current' | 'fingerprints'>
  readonly #log = new ChangeLog()
  /** The digests that relays had: relay → digest → the sequence at which its part had it last. */
  readonly #known = new Map<string, Map<string, number>>()
  #version: TreeVersion | undefined
  #advancing: Promise<TreeVersion> | undefined

  constructor(tree: Pick<Tree, 'current' | 'fingerprints'>) {
    this.#tree = tree
  }

  /** The version of the present tree. */
  async current(): Promise<TreeVersion> {
    while (this.#version === undefined || this.#version.topology !== this.#tree.current()) {
      this.#advancing ??= this.#advance().finally(() => {
        this.#advancing = undefined
      })
      await this.#advancing
    }
    return this.#version
  }

  /** The digest of a relay and all below it. */
  digestOf(version: TreeVersion, relay: string): string {
    const known = version.parts.get(relay)
    if (known !== undefined) return known
    const { topology, digests } = version
    const digest = new TreeDigest()
    const position = topology.positionOf(relay)
    if (position !== undefined) digest.addAll(digests, position, position + 1)
    const [start, end] = topology.positionsBelow(relay)
    digest.addAll(digests, start, end)
    const text = digest.toString()
    version.parts.set(relay, text)
    return text
  }

  /** Remembers that a relay has, or is given, its part of this version. */
  remember(version: TreeVersion, relay: string): void {
    const digests = this.#known.get(relay) ?? new Map<string, number>()
    this.#known.delete(relay)
    this.#known.set(relay, digests)
    putLast(digests, this.digestOf(version, relay), version.sequence, MAX_KNOWN_VERSIONS)
    dropFirst(this.#known, MAX_KNOWN_RELAYS)
  }

  /**
   * The difference for a relay that has the part with this digest; undefined when nothing is known of that any more.
   */
  differenceSince(version: TreeVersion, relay: string, digest: string): Difference | undefined {
    const sequence = this.#known.get(relay)?.get(digest)
    return sequence === undefined ? undefined : this.#log.since(sequence, relay, version.topology)
  }

  async #advance(): Promise<TreeVersion> {
    const topology = this.#tree.current()
    const fingerprints = this.#tree.fingerprints() // in the same turn: they belong together
    const before = this.#version
    const sequence = (before?.sequence ?? 0) + 1
    const digests = await hashAll(topology, fingerprints)
    const version = { topology, sequence, digests, parts: new Map<string, string>() }
    this.#log.add(sequence, before === undefined ? undefined : await compare(before, version))
    for (const relay of this.#known.keys()) {
      if (topology.positionOf(relay) === undefined) this.#known.delete(relay)
    }
    this.#version = version
    return version
  }
}

async function hashAll(
  topology: OrderedTopology,
  fingerprints: ReturnType<Tree['fingerprints']>
): Promise<Uint32Array> {
  const digests = new Uint32Array(topology.size * DIGEST_WORDS)
  const at = (position: number) =>
    new TreeDigest(digests.subarray(position * DIGEST_WORDS, (position + 1) * DIGEST_WORDS))
  let position = 0
  for (const node of topology.nodes()) {
    at(position).addNode(node)
    position += 1
    if (position % NODES_PER_TURN === 0) await nextTurn()
  }
  let count = 0
  for (const [owner, fingerprint] of fingerprints) {
    at(owner).addCertificate(topology.idAt(owner), fingerprint)
    count += 1
    if (count % NODES_PER_TURN === 0) await nextTurn()
  }
  return digests
}

/** @returns undefined when there is more than the log would keep */
async function compare(before: TreeVersion, after: TreeVersion): Promise<Touched | undefined> {
  const touched = new Map<string, readonly string[]>()
  const chains = new Map<string, readonly string[]>()
  const hasNewPlace = new Uint8Array(after.topology.size)
  const chainOf = (policyServer: string): readonly string[] => {
    const known = chains.get(policyServer)
    if (known !== undefined) return known
    const above = before.topology.find(policyServer)?.policyServer
    const chain = above === undefined || above === policyServer ? [policyServer] : [policyServer, ...chainOf(above)]
    chains.set(policyServer, chain)
    return chain
  }
  const touch = (id: string) => {
    const old = before.topology.find(id)
    touched.set(id, old === undefined ? [] : chainOf(old.policyServer))
  }
  for (let position = 0; position < after.topology.size; position++) {
    if (position % NODES_PER_TURN === 0) await nextTurn()
    const id = after.topology.idAt(position)
    const oldPosition = before.topology.positionOf(id)
    const policyServer = after.topology.find(id)?.policyServer ?? id
    const parentPosition = after.topology.positionOf(policyServer)
    // whoever moves, comes or goes takes all below along, to another relay's part
    const hasMoved =
      parentPosition === undefined
        ? before.topology.positionOf(policyServer) !== undefined
        : hasNewPlace[parentPosition] === 1
    if (!hasMoved && oldPosition !== undefined && isSame(before.digests, oldPosition, after.digests, position)) continue
    if (hasMoved || oldPosition === undefined || before.topology.find(id)?.policyServer !== policyServer) {
      hasNewPlace[position] = 1
    }
    touch(id)
    if (touched.size > MAX_LOGGED_NODES) return undefined
  }
  for (let position = 0; position < before.topology.size; position++) {
    if (position % NODES_PER_TURN === 0) await nextTurn()
    const id = before.topology.idAt(position)
    if (after.topology.positionOf(id) === undefined) touch(id)
    if (touched.size > MAX_LOGGED_NODES) return undefined
  }
  return touched
}

function isSame(one: Uint32Array, onePosition: number, other: Uint32Array, otherPosition: number): boolean {
  for (let word = 0; word < DIGEST_WORDS; word++) {
    if (one[onePosition * DIGEST_WORDS + word] !== other[otherPosition * DIGEST_WORDS + word]) return false
  }
  return true
}

function putLast<V>(map: Map<string, V>, key: string, value: V, max: number): void {
  map.delete(key)
  map.set(key, value)
  dropFirst(map, max)
}

function dropFirst<V>(map: Map<string, V>, max: number): void {
  if (map.size <= max) return
  const first = map.keys().next()
  if (first.done !== true) map.delete(first.value)
}
