import type { NetworkSet } from '../network/network-set.js'
import type { LogLevel } from '../values/logging/logger.js'
import type { ServiceConfig } from './services/service-config.js'

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

export type PeerAuthentication = 'cert_pinning' | 'cert_validation' | 'dangerous_none'

/**
 * A relay's whole configuration: `main.conf` and `logging.conf`, checked, with defaults filled in, frozen.
 * Keys that an existing relay has keep their names and defaults (contract, "Configuration"); times are ms, sizes bytes.
 */
export interface Config {
  /** The directory given with `--config`. */
  readonly directory: string
  readonly general: {
    readonly nodeId: string
    readonly nodesListFile: string
    readonly nodesCertsFile: string
    /** Plain HTTP, for local clients. */
    readonly listen: ListenAddress
    /** Plain HTTP for a web server or load balancer in front: nobody there is local. Treeline only. */
    readonly proxyListen: ListenAddress | undefined
    /**
     * Whether a web server or load balancer passes on all that comes to `listen`: then none of it is local. Treeline
     * only.
     */
    readonly behindProxy: boolean
    /** A Unix socket for callers that may do everything. Treeline only. */
    readonly socket: string | undefined
    /** Names by which this relay is asked over plain HTTP, besides its host name in the nodes list. Treeline only. */
    readonly hostnames: readonly string[]
    /** HTTPS for agents and other relays; undefined while httpd stands in front. Treeline only. */
    readonly httpsListen: ListenAddress | undefined
    /** PEM files of the certificate that is presented to callers and to neighbours; both or none. Treeline only. */
    readonly httpsCertificateFile: string | undefined
    readonly httpsKeyFile: string | undefined
    /** The port at which neighbours are reached. */
    readonly httpsPort: number
    /** How long an unused connection to a neighbour is kept. */
    readonly httpsIdleTimeoutMs: number
    /** The limit for opening a connection to a neighbour. Treeline only. */
    readonly connectTimeoutMs: number
    /**
     * How long a neighbour may be silent before its answer, or within it. Runs have limits of their own. Treeline
     * only.
     */
    readonly responseTimeoutMs: number
    readonly peerAuthentication: PeerAuthentication
    readonly caPath: string | undefined
    /** Proxies whose `X-Forwarded-For` counts. Treeline only. */
    readonly trustedProxies: NetworkSet
    /** Connections at once; further ones are closed. Treeline only. */
    readonly maxConnections: number
    /** How long requests under way may take to finish once the relay is told to stop. Treeline only. */
    readonly stopTimeoutMs: number
  }
  /** The source of the tree, and the certificates of its members. Treeline only. */
  readonly tree: {
    /**
     * The source of the tree: the two files of `general` as others write them, the members that joined (the root
     * alone), or the policy server. With the latter two, the files are this relay's own, in `<storage.path>/tree`.
     */
    readonly source: 'files' | 'members' | 'policy-server'
    /** How often the policy server is asked for another tree; it also tells of one, where it can. */
    readonly refreshMs: number
    /** The CA's certificate, PEM; the key is the next setting. With `members` alone. */
    readonly caFile: string
    readonly caKeyFile: string
    /** The lifetime of certificates that are issued from now on, with `members`. */
    readonly certificateLifetimeMs: number
    /** How long after its end a certificate can still be renewed. */
    readonly renewalGraceMs: number
  }
  /** Undefined at the root alone. */
  readonly upstream:
    | {
        /** The host without the port, which `output.upstream.host` may have (`host:port`). */
        readonly host: string
        /** The one in `output.upstream.host`, else `general.https_port`. */
        readonly port: number
        /** The policy server's node id, where it is known. */
        readonly nodeId: string | undefined
        readonly serverCertificateFile: string | undefined
        readonly user: string | undefined
        readonly password: string | undefined
      }
    | undefined
  /** Addresses of neighbours. Treeline only. */
  readonly neighbours: {
    /**
     * `[neighbours.addresses]`, `"<node-id>" = "host:port"`: where a sub-relay is reached, when that is not its host
     * name of the nodes list and `general.https_port` (NAT, several relays on one machine).
     */
    readonly addresses: ReadonlyMap<string, ListenAddress>
  }
  /** Connections that the lower side opened. Treeline only. */
  readonly links: {
    /** Whether nodes and relays below may open links to this relay. */
    readonly accept: boolean
    /** Links at once. */
    readonly max: number
    /** Whether this relay holds a link to its policy server. */
    readonly dial: boolean
    /** Each side asks for a sign of life this often; a dead peer is noticed within twice as long. */
    readonly pingIntervalMs: number
    /** The longest wait between two attempts of this relay to open its link. */
    readonly longestWaitMs: number
    /** Whether TLS shows this relay's certificate to its policy server before the link does. */
    readonly tlsCertificate: boolean
    /** The kind of lanes: raw bytes where these pass and WebSockets elsewhere, or WebSockets in any case. */
    readonly lane: 'auto' | 'websocket'
  }
  readonly remoteRun: {
    readonly enabled: boolean
    readonly command: string
    readonly useSudo: boolean
    /** Hosts per started command. Treeline only, as all that follow in this section. */
    readonly batchSize: number
    /** Commands running at once. */
    readonly concurrency: number
    /** Per batch. */
    readonly timeoutMs: number
    /** How long records and outputs of runs are kept. */
    readonly retentionMs: number
    /** Output kept per node; what goes beyond is dropped and said so. */
    readonly maxOutputBytes: number
    /** Whether the command stands in for nodes that hold no link. Where it does not, a relay runs its own machine itself. */
    readonly fallbackCommand: boolean
    /** First arguments of the command on this relay's own machine; undefined: it is called as for any other node. */
    readonly ownArguments: readonly string[] | undefined
    /** Whether answers in text have what commands say on standard error; records and events have it in any case. */
    readonly stderr: boolean
    readonly allowedNetworks: NetworkSet
  }
  readonly sharedFiles: {
    readonly path: string
    readonly maxBodyBytes: number
    /** A period in ms, or a cron expression. */
    readonly cleanupFrequency: { readonly everyMs: number } | { readonly cron: string }
    /** The limit of all files together; undefined: none. Treeline only, as all that follow in this section. */
    readonly maxTotalBytes: number | undefined
    readonly maxFilesPerSource: number | undefined
    readonly allowedNetworks: NetworkSet
    readonly allowSha1: boolean
    readonly requireSender: boolean
  }
  readonly sharedFolder: {
    readonly path: string
    /** Whether symbolic links in it may lead out of it. Treeline only. */
    readonly followLinks: boolean
    /** Networks whose callers may read the folder. Treeline only. */
    readonly allowedNetworks: NetworkSet
  }
  /** Limits for slow and for many callers. Treeline only. */
  readonly limits: {
    /** A caller that has not sent its headers by then gets 408, one in its TLS handshake is dropped. */
    readonly headersTimeoutMs: number
    /** The limit from the end of the headers until a PUT's metadata block, or a whole form, is there; else 408. */
    readonly metadataTimeoutMs: number
    /** A body that comes more slowly is answered 408. */
    readonly minBytesPerSecond: number
    /** The rate is averaged over windows of this length. */
    readonly rateWindowMs: number
    /** Shared files being received at once; further ones get 503. */
    readonly maxUploads: number
  }
  /** The folder of the relay's own data. Treeline only. */
  readonly storage: { readonly path: string }
  /** HTTP services of clients. Treeline only. */
  readonly services: {
    /** Plain HTTP for callers of services; undefined: off. */
    readonly listen: ListenAddress | undefined
    /** The same with TLS; undefined: off. */
    readonly httpsListen: ListenAddress | undefined
    /** How long signed tokens (JWT) are taken while the root cannot be asked, in ms. */
    readonly offlineGraceMs: number
    /** Networks whose callers need no token of ours. */
    readonly allowedNetworks: NetworkSet
    /** The keys that agents may offer, by node id, with `*` at their end for any rest; `*` stands for all other agents. */
    readonly agentKeys: ReadonlyMap<string, readonly string[]>
    /** Bytes a second of each key, each way; 0: no bound. */
    readonly rate: number
    /** The same of the keys that have one of their own. */
    readonly rates: ReadonlyMap<string, number>
    /** Whether each request is logged. */
    readonly log: boolean
    /** Names of headers, in lower case, that cross the tree sealed. */
    readonly sealHeaders: readonly string[]
    /** A file with the keys of the seals, a line each; undefined: no header is sealed. */
    readonly sealKeyFile: string | undefined
  }
  /** `[[service_listener]]`: listeners whose paths reach a service unchanged. Treeline only. */
  readonly serviceListeners: readonly ServiceListenerConfig[]
  /** `[[service]]`: services that this relay reaches itself. Treeline only. */
  readonly ownServices: readonly ServiceConfig[]
  /** Networks that may read the metrics. Treeline only. */
  readonly metrics: { readonly allowedNetworks: NetworkSet }
  /** Files with tokens. Treeline only. */
  readonly tokens: {
    /** A file with the token that makes its bearer an `admin` caller. */
    readonly adminFile: string | undefined
    /** A file with the hashes of the tokens that clients register with. */
    readonly clientsFile: string | undefined
  }
  readonly logging: {
    readonly level: LogLevel
  }
  /** Notices for the operator that stop nothing: unknown keys, sections of the existing relay that are not ours. */
  readonly notices: readonly ConfigNotice[]
}

/** A listener for callers of services at a root of its own. */
export interface ServiceListenerConfig {
  readonly listen: ListenAddress
  /** Plain HTTP unless it is set. */
  readonly tls: boolean
  /** The key of its one service; undefined: the server name or the caller's token names one. */
  readonly fixed: string | undefined
  /** `<key>.<suffix>` leads to the service under the key. In lower case. */
  readonly suffix: string | undefined
  /** Keys by server names in lower case. */
  readonly serverNames: ReadonlyMap<string, string>
  /** Its own; undefined: the relay's. */
  readonly certificateFile: string | undefined
  readonly keyFile: string | undefined
}

export interface ConfigNotice {
  /** A note is no warning: `--strict` lets it pass. */
  readonly level: 'note' | 'warning' | 'error'
  readonly text: string
}

/** All that is wrong with a configuration, at once. */
export class ConfigError extends Error {
  override name = 'ConfigError'

  /**
   * @param problems a line each: file, key, what was expected and what came
   * @param notices what else was noticed: a misspelled key is often the cause of a problem
   */
  constructor(
    readonly problems: readonly string[],
    readonly notices: readonly ConfigNotice[] = []
  ) {
    const warnings = notices.filter(({ level }) => level === 'warning').map(({ text }) => `warning: ${text}`)
    super([...problems, ...warnings].join('\n'))
  }
}
