import type { Caller } from '../../network/caller.js'
import type { Topology } from '../../tree/topology.js'
import { RelayError } from '../../values/failures/relay-error.js'

/**
 * Checks who may GET a file: its target, a relay that the target is below, our policy server, and local callers for
 * files kept here (contract, "The PUT body").
 * @throws {RelayError} FORBIDDEN saying what would allow it
 */
export function checkMayRead(target: string, caller: Caller, isKeptHere: boolean, topology: Topology): void {
  if (mayRead(target, caller, isKeptHere, topology)) return
  const who =
    caller.kind === 'local'
      ? 'a local caller may only get files that are kept here, and this one is kept further down'
      : `the certificate of ${target}, or of a relay above it, is needed (general.nodes_certs_file lists them)`
  const proxy =
    caller.kind === 'proxied' ? '; behind a proxy, list it in general.trusted_proxies or connect directly' : ''
  throw new RelayError('FORBIDDEN', `files for ${target} are not for this caller: ${who}${proxy}`)
}

function mayRead(target: string, caller: Caller, isKeptHere: boolean, topology: Topology): boolean {
  switch (caller.kind) {
    case 'policy-server':
      return true
    case 'node':
      return caller.id === target
    case 'relay':
      return caller.id === target || (caller.id !== undefined && topology.isUnder(target, caller.id))
    case 'local':
      return isKeptHere
    default:
      return false
  }
}
