import { parseNodesList } from '../src/tree/import/nodes-list.js'
import { packTree } from '../src/tree/index/packed-tree.js'
import { TopologyIndex } from '../src/tree/index/topology-index.js'
import { ROOT_ID } from '../src/values/ids.js'
import { generateNodesList } from './support/generate-nodes-list.js'

export interface RouteMeasurement {
  /** The time of one call of `route`, over all nodes in random order, in the fastest round: other processes only add to it. */
  readonly nsPerRoute: number
  readonly indexBytes: number
}

const ROUNDS = 9

/** Measures `route` at the root of a generated tree. */
export async function measureRoute(nodeCount: number): Promise<RouteMeasurement> {
  const list = parseNodesList(JSON.stringify(generateNodesList(nodeCount)), 'generated')
  const index = new TopologyIndex(packTree(list, ROOT_ID), ROOT_ID, 1)
  // new strings, as they come with requests, and in an order that no cache knows
  const targets = shuffled(list.ids).map(id => Buffer.from(id).toString('latin1'))
  const rounds = Array.from({ length: ROUNDS }, () => timeRound(index, targets) / targets.length)
  return { nsPerRoute: Math.min(...rounds), indexBytes: index.bytes }
}

/** @returns ns */
function timeRound(index: TopologyIndex, targets: readonly string[]): number {
  let reached = 0
  const startedAt = process.hrtime.bigint()
  for (const target of targets) if (index.route(target).kind !== 'unknown') reached++
  const elapsed = Number(process.hrtime.bigint() - startedAt)
  if (reached !== targets.length) throw new Error(`${targets.length - reached} nodes were not found`)
  return elapsed
}

function shuffled(texts: readonly string[]): string[] {
  return texts
    .map(text => ({ text, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ text }) => text)
}
