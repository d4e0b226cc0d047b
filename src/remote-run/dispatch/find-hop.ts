import type { Hop, Neighbours } from '../../hops/hop.js'
import { asError } from '../../values/failures/system-error.js'

/** The way to a sub-relay. The nodes list may have changed since the run was planned. */
export function findHop(neighbours: Neighbours, relay: string): Hop | Error {
  try {
    return neighbours.down(relay)
  } catch (error) {
    return asError(error)
  }
}
