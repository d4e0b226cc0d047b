import { withoutByteOrderMark } from '../../file-system/files/byte-order-mark.js'
import { isKeyHash } from '../../keys/signatures/key-hash.js'
import { canonicalHost, HOST_NAME_RULE } from '../../network/host-name.js'
import { jsonProblem } from '../../values/failures/json-problem.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { isNodeId, ROOT_ID } from '../../values/ids.js'
import { type NumberedNodes, numberNodes } from '../index/numbered-nodes.js'
import type { TreeNode } from '../topology.js'
import { type ChainProblem, checkChains, MAX_CHAIN_LENGTH } from './chain-check.js'

/** Bounds of a nodes list: ten times the greatest tree that this is made for. */
export const MAX_NODES_LIST_BYTES = 256 * 1024 * 1024
export const MAX_NODE_COUNT = 1_000_000

/** The number, or the share, of nodes that may be left out of a list: more are a fault of its writer. */
const MAX_SKIPPED = 5
const MAX_SKIPPED_SHARE = 0.1

/** Problems named in one message; of the rest only the number. */
const MAX_PROBLEMS_NAMED = 5
const MAX_SHOWN_LENGTH = 80

/** A nodes list that cannot be used. The message names the file, the nodes, and what is wrong with each. */
export class NodesListError extends Error {
  override name = 'NodesListError'
}

/**
 * Reads a nodes list (contract, "The nodes list") and checks it: ids, host names, and that the policy servers form a
 * tree. A key hash that cannot be read leaves its node without a key.
 *
 * @param source how messages call the list: its path
 * @param onSkipped is told of each node that cannot be used and is left out, a few without others below them; without it,
 *   or where there are more, the list is refused
 * @throws {NodesListError}
 */
export function parseNodesList(text: string, source: string, onSkipped?: (problem: string) => void): NumberedNodes {
  const problems = new Problems(source)
  const skipped = new Map<string, string>()
  const nodes: TreeNode[] = []
  const list = parseObject(text, source)
  const ids = Object.keys(list)
  if (ids.length > MAX_NODE_COUNT) throw problems.error(`it has ${ids.length} nodes, and may have ${MAX_NODE_COUNT}`)
  const mostSkipped = Math.max(MAX_SKIPPED, ids.length * MAX_SKIPPED_SHARE)
  for (const id of ids) {
    const node = readNode(id, list[id])
    if (typeof node !== 'string') nodes.push(node)
    else {
      problems.add(node)
      if (skipped.size <= mostSkipped) skipped.set(id, node)
    }
  }
  if (
    problems.count > 0 &&
    (onSkipped === undefined || problems.count > mostSkipped || !canBeSkipped(skipped, nodes))
  ) {
    throw problems.error()
  }
  const numbered = numberNodes(nodes)
  const chainProblems = new Problems(source)
  for (const problem of checkChains(numbered)) chainProblems.add(describe(problem))
  if (chainProblems.count > 0) throw chainProblems.error()
  for (const problem of skipped.values()) onSkipped?.(`the nodes list ${source}: ${problem}: skipped`)
  return numbered
}

/**
 * Whether the faulty nodes can be left out: not when most of the file is no nodes list, and never a relay, with which
 * all nodes below it would go.
 */
function canBeSkipped(skipped: ReadonlyMap<string, string>, nodes: readonly TreeNode[]): boolean {
  if (skipped.size > nodes.length || skipped.has(ROOT_ID)) return false
  return !nodes.some(({ policyServer }) => skipped.has(policyServer))
}

function parseObject(text: string, source: string): Record<string, unknown> {
  let value: unknown
  const json = readable(text, source)
  try {
    value = JSON.parse(json)
  } catch (error) {
    throw new NodesListError(`cannot use the nodes list ${source}: it is not complete JSON: ${jsonProblem(error)}`)
  }
  if (!isObject(value)) throw new NodesListError(`cannot use the nodes list ${source}: it is not a JSON object`)
  return value
}

function readable(text: string, source: string): string {
  try {
    return withoutByteOrderMark(text)
  } catch (error) {
    const reason = errorMessage(error)
    throw new NodesListError(`cannot use the nodes list ${source}: ${reason}`)
  }
}

/** @returns the node, or what is wrong with it */
function readNode(id: string, value: unknown): TreeNode | string {
  if (!isNodeId(id)) return `${shown(id)} cannot be the id of a node`
  if (!isObject(value)) return `${shown(id)} is not an object`
  const { hostname, 'policy-server': policyServer, 'key-hash': keyHash } = value
  const host = typeof hostname === 'string' ? canonicalHost(hostname) : undefined
  if (host === undefined) {
    return `${shown(id)} has the hostname ${shown(hostname)}, which cannot be one: expected ${HOST_NAME_RULE}`
  }
  if (typeof policyServer !== 'string' || !isNodeId(policyServer)) {
    return `${shown(id)} has the policy-server ${shown(policyServer)}, which cannot be the id of a node`
  }
  if (policyServer === id && id !== ROOT_ID) return `${shown(id)} is its own policy server, which only root can be`
  if (policyServer !== id && id === ROOT_ID)
    return `root has the policy server ${shown(policyServer)} instead of itself`
  return {
    id,
    hostname: host,
    policyServer,
    keyHash: typeof keyHash === 'string' && isKeyHash(keyHash) ? keyHash : undefined
  }
}

function describe(problem: ChainProblem): string {
  return problem.kind === 'cycle'
    ? `the policy servers of ${nameSome(problem.ids)} form a cycle`
    : `${shown(problem.id)} has more than ${MAX_CHAIN_LENGTH} policy servers above it`
}

class Problems {
  count = 0
  readonly #named: string[] = []

  constructor(readonly source: string) {}

  add(problem: string): void {
    this.count++
    if (this.#named.length < MAX_PROBLEMS_NAMED) this.#named.push(problem)
  }

  error(reason = this.#named.join('; ')): NodesListError {
    const more = this.count - this.#named.length
    const rest = more > 0 ? `; and ${more} more like these` : ''
    return new NodesListError(`cannot use the nodes list ${this.source}: ${reason}${rest}`)
  }
}

function nameSome(ids: readonly string[]): string {
  const named = ids.slice(0, MAX_PROBLEMS_NAMED).map(shown).join(', ')
  return ids.length > MAX_PROBLEMS_NAMED ? `${named} and ${ids.length - MAX_PROBLEMS_NAMED} more` : named
}

function shown(value: unknown): string {
  if (value === undefined) return '(missing)'
  const text = JSON.stringify(typeof value === 'string' ? value.slice(0, MAX_SHOWN_LENGTH) : value)
  return text.length > MAX_SHOWN_LENGTH + 20 ? `${text.slice(0, MAX_SHOWN_LENGTH)}…` : text
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
