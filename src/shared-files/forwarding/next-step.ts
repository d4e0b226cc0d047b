import type { Hop, Neighbours } from '../../hops/hop.js'
import type { Origin } from '../../network/caller.js'
import type { CurrentTopology } from '../../tree/topology.js'
import { RelayError } from '../../values/failures/relay-error.js'

/** The next step of a file from here. */
export type NextStep =
  | { readonly kind: 'here' }
  | { readonly kind: 'down'; readonly hop: Hop }
  | { readonly kind: 'up'; readonly hop: Hop }

/** @throws {RelayError} UNKNOWN_NODE at the root, when the target is not in the tree */
export function nextStep(target: string, topology: CurrentTopology, neighbours: Neighbours): NextStep {
  const route = topology().route(target)
  switch (route.kind) {
    case 'here':
      return { kind: 'here' }
    case 'down':
      return { kind: 'down', hop: neighbours.down(route.hop) }
    case 'up':
      return { kind: 'up', hop: neighbours.up() }
    case 'unknown':
      throw unknownTarget(target)
  }
}

/**
 * A file is not sent back to where it came from: the two relays' trees differ, which passes once both are up to date.
 * @throws {RelayError} LOOP_DETECTED
 */
export function checkNotBack(step: NextStep, origin: Origin, target: string): void {
  const { caller, passed, claimedPassed = [] } = origin
  // By the list alone: a relay's agent shows the same certificate, and may share with the nodes below its relay.
  const isBack =
    (step.kind === 'up' && caller.kind === 'policy-server') ||
    (step.kind === 'down' && (passed.includes(step.hop.id) || claimedPassed.includes(step.hop.id)))
  if (!isBack) return
  throw new RelayError(
    'LOOP_DETECTED',
    `${target} is to be reached through the relay that sent this; check that both have the same nodes list`
  )
}

function unknownTarget(target: string): RelayError {
  return new RelayError('UNKNOWN_NODE', `unknown target: ${target} is not in the nodes list of the root`)
}
