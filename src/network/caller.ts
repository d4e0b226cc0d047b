import { sourceOf } from './sources/source-address.js'

/**
 * The kind of a caller, as far as the connection proves it (design, "Trust").
 *
 * - `local`: the socket of `general.socket`, or loopback without any mark of a proxy
 * - `policy-server`: the relay above us, by its certificate
 * - `relay`: a node below us that is the policy server of others, by its certificate or by the secret of its link
 * - `node`: any other node that we know, in the same way
 * - `admin`: shows the admin token, and is none of those above
 * - `proxied`: loopback, through a proxy that is not listed in `general.trusted_proxies`
 * - `network`: anyone else, known by nothing but the address
 * - `web-page`: a page from elsewhere, in whosever browser; it may do nothing
 */
export type CallerKind = 'local' | 'policy-server' | 'relay' | 'node' | 'admin' | 'proxied' | 'network' | 'web-page'

export interface Caller {
  readonly kind: CallerKind
  /** The id of the node, where the certificate proved one. */
  readonly id?: string
  /** The peer's IP address, or the one that a trusted proxy named. */
  readonly address: string
  /** A proxy named no address: `address` is its own, for what is shared by address, and admits nobody. */
  readonly isAddressOfProxy?: boolean
  /** A `proxied` caller that came to a trusted proxy on this machine from this machine: the relay's own agent, say. */
  readonly isOnThisMachine?: boolean
  /** Shows the admin token as well, and may do what `admin` may besides. */
  readonly isAdmin?: boolean
}

/** The facts about its request that every feature needs. */
export interface Origin {
  readonly caller: Caller
  readonly requestId: string
  /** Ids of the relays passed, oldest first; empty when the caller is not to be believed about it. */
  readonly passed: readonly string[]
  /**
   * The same as an unknown caller says it, who may be a relay that we cannot recognize, since a web server ends the TLS
   * before us. Good for refusing a request alone.
   */
  readonly claimedPassed?: readonly string[]
  /** Aborts when the caller has gone, or when the relay stops. */
  readonly signal: AbortSignal
}

/**
 * The rank of a caller in a bound that callers share. A trusted one may have any slot that is free, others a share, which
 * is larger for a relay, as it carries what others send. A relay or node below may be hostile.
 */
export type Standing = 'trusted' | 'relay' | 'node' | 'stranger'

/** The part of a caller in a bound that callers share. */
export interface Sharer {
  /** The node, the policy server, or the network of the address, each in a name space of its own. */
  readonly source: string
  readonly standing: Standing
}

const STANDINGS: Readonly<Record<CallerKind, Standing>> = {
  local: 'trusted',
  'policy-server': 'trusted',
  admin: 'trusted',
  relay: 'relay',
  node: 'node',
  proxied: 'stranger',
  network: 'stranger',
  'web-page': 'stranger'
}

export function isCallerKind(text: string): text is CallerKind {
  return Object.hasOwn(STANDINGS, text)
}

/** The policy server as a source: its id is not told to us, and others may share its address. No id has a blank. */
const POLICY_SERVER = 'policy server'
/** Before the id of a source: an id may look like an address, and an address has no blank. */
const BY_ID = 'id '

/** Whom a caller is counted as, where callers share a bound. */
export function sharerOf({ kind, id, address, isAdmin }: Caller): Sharer {
  const source = kind === 'policy-server' ? POLICY_SERVER : id === undefined ? sourceOf(address) : BY_ID + id
  return { source, standing: isAdmin === true ? 'trusted' : STANDINGS[kind] }
}
