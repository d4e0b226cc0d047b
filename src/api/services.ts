import type { IncomingMessage } from 'node:http'
import type { Config } from '../config/config.js'
import type { Neighbours } from '../hops/hop.js'
import type { LinkAdministration } from '../links/upper/link-administration.js'
import type { Joining } from '../membership/member-types.js'
import type { ListConfirming } from '../membership/revocations/list-confirming.js'
import type { RevocationBook } from '../membership/revocations/revocation-book.js'
import type { IssueToCaller } from '../membership/root/issue-to-caller.js'
import type { RootMembership } from '../membership/root/root-membership.js'
import type { TokenKeys } from '../membership/root/token-keys.js'
import type { RemoteRuns } from '../remote-run/run-types.js'
import type { ClientDirectory } from '../services/keys/client-directory.js'
import type { SharedFiles } from '../shared-files/file-types.js'
import type { SharedFolder } from '../shared-folder/shared-folder.js'
import type { KnownCertificates } from '../tree/known-certificates.js'
import type { CurrentTopology } from '../tree/topology.js'
import type { TreeSource } from '../tree-sync/tree-source.js'
import type { TreeSync } from '../tree-sync/tree-sync.js'
import type { Metrics } from './metrics/metrics.js'

/** The data and actions of the system routes; wired by the process. */
export interface SystemControl {
  /** Re-reads configuration, nodes list and certificates. @returns what went wrong, a line each; empty when all is well */
  reload(): Promise<readonly string[]>
  /** Looks at the configuration's files again, and at the disks. */
  status(): Promise<SystemStatus>
  /** Why this relay is of no use now, in words for anyone; undefined while it is. */
  unreadiness(): Promise<string | undefined>
}

export interface SystemStatus {
  readonly configuration: { readonly status: 'success' | 'error'; readonly details?: string }
  readonly database: { readonly status: 'success' | 'error'; readonly details?: string }
  /** Whether its folders can be written to. */
  readonly storage: { readonly status: 'success' | 'error'; readonly details?: string }
  readonly nodes: {
    readonly status: 'success' | 'error'
    readonly details?: string
    readonly count: number
    readonly certificates: number
    /** The state of the tree that comes from the policy server. */
    readonly sync?: {
      readonly version?: string
      readonly synced_at?: string
      readonly age_seconds?: number
      readonly problem?: string
    }
  }
}

/** The services that the routes use. */
export interface Services {
  /** The configuration in force: a reload may change allowed networks and proxies. */
  readonly config: () => Config
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  readonly certificates: KnownCertificates
  /** Whether a request came over this relay's own link to its policy server. */
  readonly isFromAbove: (request: IncomingMessage) => boolean
  /** The relay or node whose link a secret was given with, while it stands. */
  readonly nodeOfSecret: (secret: string) => string | undefined
  /** Connections that came to the socket of `general.socket`. */
  readonly localSockets: WeakSet<object>
  /** Connections that came to `general.proxy_listen`. */
  readonly proxySockets: WeakSet<object>
  /** The links that others opened to this relay. */
  readonly links: LinkAdministration
  /** The clients here and below. */
  readonly clients: ClientDirectory
  /** The relay's own link to its policy server; undefined where it holds none. */
  readonly ownLink: () => { readonly isConnected: boolean } | undefined
  readonly sharedFiles: SharedFiles
  readonly remoteRuns: RemoteRuns
  readonly sharedFolder: SharedFolder
  readonly treeSource: TreeSource
  /** Undefined unless the tree is the policy server's. */
  readonly treeSync: TreeSync | undefined
  /** Undefined at a root whose tree is not that of its members. */
  readonly joining: Joining | undefined
  /** The members, at the root of a tree of members alone. */
  readonly members: RootMembership | undefined
  /** Undefined where no CA of the tree says whom to trust. */
  readonly revocations: RevocationBook | undefined
  readonly system: SystemControl
  readonly metrics: Metrics
  /** The keys that sign tokens; undefined where this relay is not the root of a tree of members. */
  readonly tokenKeys: TokenKeys | undefined
  /** Issues certificates to callers; undefined where {@link tokenKeys} is. */
  readonly issueToCaller: IssueToCaller | undefined
  /** Has the root confirm the list of revocations; undefined where no list counts. */
  readonly listConfirming: ListConfirming | undefined
  /** Whether a token is one of an administrator. */
  readonly isAdminToken: (token: string) => boolean
  /** Aborts when requests under way have had their time to finish. */
  readonly stopping: AbortSignal
}
