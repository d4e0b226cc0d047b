import type { Neighbours } from '../../hops/hop.js'
import type { Topology } from '../../tree/topology.js'
import type { NextStep } from './next-step.js'

/**
 * The relays between this one and a node below it, `/` between them; empty for a node of its own, and for one that is
 * not below. A file that the first of them cannot take lies in a folder of its name (`file-layout.ts`), and within it,
 * as that relay is to have it, in one of the second's name, and so on.
 */
export function relaysOnTheWay(target: string, topology: Topology): string {
  const relays: string[] = []
  if (topology.route(target).kind !== 'down') return ''
  let node = topology.find(target)
  while (node !== undefined && node.policyServer !== topology.selfId) {
    relays.unshift(node.policyServer)
    node = topology.find(node.policyServer)
  }
  return relays.join('/')
}

/**
 * Whether files for what is down there may be kept here: for an existing relay, and for one of ours that cannot tell
 * that it is us who hand it files. One that holds a link can.
 */
export function isKeptOnBehalf(step: NextStep, neighbours: Neighbours): boolean {
  return step.kind === 'down' && neighbours.linked(step.hop.id) === undefined
}
