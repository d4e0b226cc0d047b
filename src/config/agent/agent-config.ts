import type { Config, ConfigNotice, ListenAddress } from '../config.js'
import type { ServiceConfig } from '../services/service-config.js'

/** A file that another node shares with this one. */
export interface ReceiveConfig {
  readonly source: string
  readonly fileId: string
  readonly destination: string
  /** Permission bits; undefined: those of the file that is replaced, else 0644. */
  readonly mode: number | undefined
  /** `user` or `user:group`, names or numbers; undefined: whoever the agent runs as. */
  readonly owner: string | undefined
  /** Started, program and arguments, once a new file is in place. */
  readonly command: readonly [string, ...string[]] | undefined
  /** The key that the source must have, as in a nodes list. Undefined: the one that the policy server vouches for. */
  readonly sourceKeyHash: string | undefined
}

/** A file of this node that another one is to have. */
export interface ShareConfig {
  readonly target: string
  readonly fileId: string
  readonly path: string
  /** The ttl as written, in the form of the contract. */
  readonly ttl: string
}

/** An agent's whole configuration: `agent.conf` and `logging.conf`, checked, frozen. Times are ms, sizes bytes. */
export interface AgentConfig {
  readonly directory: string
  readonly nodeId: string
  /** The certificate with which the agent proves its identity. */
  readonly certificateFile: string
  readonly keyFile: string
  /** The key that signs shared files. */
  readonly signingKeyFile: string
  readonly upstream: ListenAddress & {
    /** The policy server's node id, where it is known. */
    readonly nodeId: string | undefined
    /** Pinned: nothing else is believed. */
    readonly serverCertificateFile: string | undefined
    /** Issuers of the policy server's certificate; with neither file, the system's. */
    readonly caFile: string | undefined
    /** Whether TLS shows this node's certificate before the link does. */
    readonly tlsCertificate: boolean
    /** The kind of lanes, as in `links.lane` of relays. */
    readonly lane: 'auto' | 'websocket'
  }
  readonly storage: { readonly path: string }
  readonly agent: {
    readonly command: string
    /** Arguments that precede the conditions. */
    readonly arguments: readonly string[]
    readonly useSudo: boolean
    readonly timeoutMs: number
    readonly maxOutputBytes: number
    /** Runs at once. */
    readonly concurrency: number
    readonly whenBusy: 'queue' | 'refuse'
    readonly stopTimeoutMs: number
    /** The size up to which a file is shared. */
    readonly maxShareBytes: number
  }
  readonly receive: readonly ReceiveConfig[]
  readonly share: readonly ShareConfig[]
  /** `[[service]]`: services that this agent offers. */
  readonly ownServices: readonly ServiceConfig[]
  readonly logging: Config['logging']
  readonly notices: readonly ConfigNotice[]
}
