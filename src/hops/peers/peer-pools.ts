import { isIPv6 } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { Pool } from 'undici'
import type { Revocations } from '../../keys/certificates/revocations.js'
import type { PeerConnection } from '../direct-hop.js'
import { MAX_CONNECTIONS_PER_NEIGHBOUR } from '../hop-slots.js'
import { createPeerConnector } from './peer-connector.js'
import type { ClientCertificate, PeerTrust } from './peer-trust.js'

// undici's parser is one WebAssembly function, for which the optimizing compiler takes 36 MB; without, it is 2 % slower.
for (const flag of ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering']) setFlagsFromString(flag)

/** A fetched file comes with its metadata block, up to 64 KiB, as base64 in a header. */
const MAX_ANSWER_HEADER_BYTES = 128 * 1024
/**
 * The number of pools; beyond it, the pool that was not used for longest is closed. One without connections costs
 * next to nothing.
 */
const MAX_POOLS = 1_024

/** The address of a neighbour, and the proof of identity that it owes. */
export interface PeerTarget {
  /** A host name or address, without brackets. */
  readonly host: string
  readonly port: number
  readonly trust: PeerTrust
  /** URL of the HTTP proxy that leads there; undefined: it is reached without one. */
  readonly proxy?: string | undefined
}

export interface PeerPoolsOptions {
  readonly clientCertificate: ClientCertificate | undefined
  readonly revocations: Revocations
  readonly connectTimeoutMs: number
  /** How long an unused connection is kept. */
  readonly idleTimeoutMs: number
  /** Called when a neighbour showed certificates that are costly to verify, with what is costly. */
  readonly onCostly: (hopId: string, why: string) => void
}

interface Entry extends PeerConnection {
  readonly target: PeerTarget
}

/** A pool of connections per neighbour, made when it is first needed, and anew when its target changes. */
export class PeerPools {
  /** The one used last is last. */
  readonly #entries = new Map<string, Entry>()
  readonly #closing = new Set<Pool>()
  #options: PeerPoolsOptions

  constructor(options: PeerPoolsOptions) {
    this.#options = options
  }

  /** @throws {TypeError} when `target.host` can be no host name */
  get(hopId: string, target: PeerTarget): PeerConnection {
    const found = this.#entries.get(hopId)
    if (found !== undefined && isSame(found.target, target)) {
      this.#entries.delete(hopId)
      this.#entries.set(hopId, found)
      return found
    }
    this.#retire(hopId)
    const made = this.#open(hopId, target)
    this.#entries.set(hopId, made)
    const oldest = this.#entries.keys().next()
    if (this.#entries.size > MAX_POOLS && oldest.done !== true) this.#retire(oldest.value)
    return made
  }

  /**
   * Renews the connections: further requests get new ones, made with `options`; those under way end on the old ones.
   */
  renew(options: PeerPoolsOptions): void {
    this.#options = options
    for (const hopId of [...this.#entries.keys()]) this.#retire(hopId)
  }

  /** Ends all connections, and the requests on them. */
  async close(): Promise<void> {
    const pools = [...[...this.#entries.values()].map(entry => entry.pool), ...this.#closing]
    this.#entries.clear()
    await Promise.all(pools.map(pool => pool.destroy()))
  }

  #open(hopId: string, target: PeerTarget): Entry {
    const address = addressOf(target)
    const { clientCertificate, revocations, connectTimeoutMs, idleTimeoutMs, onCostly } = this.#options
    const keptMs = Math.max(1, idleTimeoutMs)
    const pool = new Pool(address, {
      connections: MAX_CONNECTIONS_PER_NEIGHBOUR,
      keepAliveTimeout: keptMs,
      // A neighbour may shorten it, not lengthen it.
      keepAliveMaxTimeout: keptMs,
      maxHeaderSize: MAX_ANSWER_HEADER_BYTES,
      connect: createPeerConnector({
        trust: target.trust,
        proxy: target.proxy,
        clientCertificate,
        revocations,
        connectTimeoutMs,
        onCostly: why => onCostly(hopId, why)
      })
    })
    return { pool, address, target }
  }

  #retire(hopId: string): void {
    const entry = this.#entries.get(hopId)
    if (entry === undefined) return
    this.#entries.delete(hopId)
    this.#closing.add(entry.pool)
    entry.pool.close(() => this.#closing.delete(entry.pool))
  }
}

function addressOf({ host, port }: PeerTarget): string {
  const url = new URL(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`)
  // What came as a host name must not turn out to hold credentials, a path or a port.
  if (url.username !== '' || url.pathname !== '/' || url.search !== '' || url.hash !== '' || /[\s@/?#\\]/.test(host)) {
    throw new TypeError(`not a host name: ${JSON.stringify(host)}`)
  }
  return url.origin
}

function isSame(a: PeerTarget, b: PeerTarget): boolean {
  return a.host === b.host && a.port === b.port && a.proxy === b.proxy && isSameTrust(a.trust, b.trust)
}

function isSameTrust(a: PeerTrust, b: PeerTrust): boolean {
  if (a.mode === 'cert_pinning' && b.mode === 'cert_pinning') {
    return a.pins.length === b.pins.length && a.pins.every((pin, index) => b.pins[index]?.equals(pin) === true)
  }
  if (a.mode === 'cert_validation' && b.mode === 'cert_validation') {
    return a.ca === b.ca && a.hostname === b.hostname && a.nodeId === b.nodeId
  }
  return a.mode === b.mode
}
