import { runTurns } from '../../process/pacing/turn-limit.js'
import type { Route, Topology } from '../../tree/topology.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { isNodeId } from '../../values/ids.js'
import type { RunOrder } from '../run-types.js'

/** Nodes looked at before the clock is. */
const NODES_AT_ONCE = 64

/** Ids that a list may hold beyond the size of the tree, so that a few unknown ones are told one by one. */
const SPARE_IDS = 1_000

const HERE: Route = { kind: 'here' }
const UNKNOWN: Route = { kind: 'unknown' }

export interface PlannedNode {
  readonly id: string
  readonly hostname: string
}

/** The division of a run's nodes. Every node asked for is in exactly one of the members. */
export interface RunPlan {
  /** Nodes of this relay. A sub-relay is one of these too: it is a node of its policy server. */
  readonly here: readonly PlannedNode[]
  /** Sub-relay to the nodes below it. */
  readonly down: ReadonlyMap<string, readonly string[]>
  /** Nodes that are not below this relay, whatever its policy server knows. */
  readonly unknown: readonly string[]
}

/**
 * Divides the nodes asked for. Gives way to other requests every few ms, so that a run of the whole of a large tree
 * holds nothing up.
 * @param order `isSingle`: the one node was asked for by itself, not in a list that happens to have one
 * @throws {RelayError} UNKNOWN_NODE when a single node is asked for and it is not below this relay; INVALID_INPUT for
 * many more ids than there are nodes
 * @param runsItself whether this relay, asked for by its id, is a node here; to existing relays they are unknown themselves
 */
export async function planRun(
  topology: Topology,
  { nodes, isSingle = false }: Pick<RunOrder, 'nodes' | 'isSingle'>,
  runsItself = false
): Promise<RunPlan> {
  if (nodes === 'all') return planAll(topology)
  const plan = await planList(topology, nodes, runsItself)
  const [stranger] = plan.unknown
  if (isSingle && stranger !== undefined) throw new RelayError('UNKNOWN_NODE', unknownNode(stranger, topology.selfId))
  return plan
}

async function planAll(topology: Topology): Promise<RunPlan> {
  const here: PlannedNode[] = []
  const down = new Map<string, string[]>()
  const pause = everySoOften()
  for (const id of topology.managed()) {
    here.push({ id, hostname: topology.find(id)?.hostname ?? '' })
    await pause()
  }
  for (const relay of topology.subRelays()) {
    const below: string[] = []
    for (const id of topology.below(relay)) {
      below.push(id)
      await pause()
    }
    down.set(relay, below)
  }
  return { here, down, unknown: [] }
}

async function planList(topology: Topology, nodes: readonly string[], runsItself: boolean): Promise<RunPlan> {
  const ids = new Set(nodes)
  if (ids.size > topology.size + SPARE_IDS) {
    throw new RelayError('INVALID_INPUT', `${ids.size} nodes were asked for, but the tree has ${topology.size}`)
  }
  const here: PlannedNode[] = []
  const down = new Map<string, string[]>()
  const unknown: string[] = []
  const pause = everySoOften()
  for (const id of ids) {
    const isItself = runsItself && id === topology.selfId
    const route = isItself ? HERE : isNodeId(id) ? topology.route(id) : UNKNOWN
    if (route.kind === 'here') here.push({ id, hostname: topology.find(id)?.hostname ?? '' })
    else if (route.kind === 'down') append(down, route.hop, id)
    else unknown.push(id)
    await pause()
  }
  return { here, down, unknown }
}

/** The message for a node that is not below this relay, and that `subject` stands for. */
export function unknownNode(subject: string, selfId: string): string {
  return `unknown node: ${subject} is not below ${selfId}: check the id, or ask a relay that is above it`
}

/** Adds `value` to the list of `key`. */
export function append(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}

/** Describes a plan in one line for a user. */
export function describePlan({ here, down, unknown }: RunPlan): string {
  const relays = [...down].map(([relay, nodes]) => `${nodes.length} below ${relay}`).slice(0, 10)
  const more = down.size > relays.length ? [`and ${down.size - relays.length} more relays`] : []
  const strangers = unknown.length === 0 ? [] : [`${unknown.length} unknown`]
  const nodesHere = `${here.length} ${here.length === 1 ? 'node' : 'nodes'} here`
  return [nodesHere, ...relays, ...more, ...strangers].join(', ')
}

/** How many nodes a plan is for. */
export function countNodes({ here, down, unknown }: RunPlan): number {
  return [...down.values()].reduce((sum, nodes) => sum + nodes.length, here.length + unknown.length)
}

/** Every node of a plan, once. */
export function* allNodes({ here, down, unknown }: RunPlan): Generator<string> {
  for (const { id } of here) yield id
  for (const nodes of down.values()) yield* nodes
  yield* unknown
}

function everySoOften(): () => Promise<void> | undefined {
  let count = 0
  return () => {
    count += 1
    return count % NODES_AT_ONCE === 0 && runTurns.isOver ? runTurns.next() : undefined
  }
}
