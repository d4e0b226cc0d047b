import type { Config } from '../../config/config.js'
import type { Caller, CallerKind } from '../../network/caller.js'
import type { NetworkSet } from '../../network/network-set.js'
import { RelayError } from '../../values/failures/relay-error.js'

/** Groups of routes that the same callers may use. Every route names one in its `config.access`. */
export type Access =
  | 'open'
  | 'remote-run'
  | 'runs'
  | 'trace'
  | 'shared-files-write'
  | 'shared-files-read'
  | 'shared-folder'
  | 'outbox'
  | 'administration'
  | 'system'
  | 'observation'
  | 'tree'
  | 'revocations'
  | 'policy-server'

interface Rule {
  readonly kinds: readonly CallerKind[]
  /** Kinds that are admitted too, and see only what belongs to them: the route asks {@link scopeOf}. */
  readonly own?: readonly CallerKind[]
  /** Callers known by address alone are admitted from these networks. */
  readonly networks?: (config: Config) => NetworkSet
  /** Whether callers on this machine are admitted that come through a trusted proxy on it. */
  readonly ownMachine?: boolean
  /** The change that would admit a refused caller. */
  readonly remedy: string
}

const EVERYONE: readonly CallerKind[] = ['local', 'policy-server', 'relay', 'node', 'admin', 'proxied', 'network']

const CALL_LOCALLY =
  'call from this machine, at general.socket, or at general.listen unless general.behind_proxy is set'

/** The rules that say who may call which routes (contract, "Who may call"). The one place. */
export const ACCESS: Readonly<Record<Access, Rule>> = {
  open: { kinds: EVERYONE, remedy: 'none' },
  'remote-run': {
    kinds: ['local', 'policy-server', 'admin', 'proxied'],
    networks: config => config.remoteRun.allowedNetworks,
    remedy: 'remote runs are for local callers and the policy server; remote_run.allowed_networks admits others'
  },
  runs: {
    kinds: ['local', 'policy-server', 'admin'],
    remedy: 'runs are shown to local callers, to the policy server (by its certificate), and to tokens.admin_file'
  },
  trace: {
    kinds: ['local', 'policy-server', 'relay', 'admin'],
    own: ['node'],
    remedy:
      'the way to a node is shown to local callers, to neighbouring relays, to tokens.admin_file, and to that node itself at its own policy server'
  },
  'shared-files-write': {
    kinds: ['local', 'policy-server', 'relay', 'node', 'admin', 'proxied'],
    networks: config => config.sharedFiles.allowedNetworks,
    remedy: 'add its network to shared_files.allowed_networks, or its certificate to general.nodes_certs_file'
  },
  'shared-files-read': {
    kinds: ['local', 'policy-server', 'relay', 'node'],
    remedy: 'a file is given to its target, known by a certificate in general.nodes_certs_file'
  },
  'shared-folder': {
    kinds: ['local', 'policy-server', 'relay', 'node', 'admin'],
    networks: config => config.sharedFolder.allowedNetworks,
    ownMachine: true,
    remedy: 'add its network to shared_folder.allowed_networks, or its certificate to general.nodes_certs_file'
  },
  outbox: {
    kinds: ['local', 'admin'],
    own: ['node'],
    remedy: `${CALL_LOCALLY}, or with the token of tokens.admin_file; a node, known by its certificate, sees its own files`
  },
  administration: {
    kinds: ['local', 'admin'],
    remedy: `${CALL_LOCALLY}, or with the token of tokens.admin_file`
  },
  system: { kinds: ['local'], remedy: CALL_LOCALLY },
  observation: {
    kinds: ['local', 'admin'],
    networks: config => config.metrics.allowedNetworks,
    remedy: 'add its network to metrics.allowed_networks'
  },
  tree: {
    kinds: ['local', 'relay', 'node', 'admin'],
    remedy: 'a relay gets its own part of the tree, known by a certificate in general.nodes_certs_file'
  },
  revocations: {
    kinds: ['policy-server', 'relay'],
    remedy:
      'a list is taken from relays, known by a certificate in general.nodes_certs_file, and from the policy server'
  },
  'policy-server': {
    kinds: ['policy-server'],
    remedy: 'only the policy server may, known by output.upstream.server_certificate_file or the link to it'
  }
}

/** The name of a caller in a refusal. */
const WHO: Readonly<Record<CallerKind, string>> = {
  local: 'a local caller',
  'policy-server': 'the policy server',
  relay: 'the relay',
  node: 'the node',
  admin: 'a caller with the admin token',
  proxied: 'a caller behind a proxy',
  network: 'an unknown caller',
  'web-page': 'a web page from elsewhere'
}

/** The remedy for web pages, on every route: no remedy of the route can help. */
const PAGE_REMEDY =
  'its Origin or Host is none of this relay, or its browser says that it comes from another site; general.hostnames names the relay'
const PROXY_REMEDY = '; through a proxy, list the proxy in general.trusted_proxies'

/** @throws {RelayError} FORBIDDEN, naming the setting that would allow the call */
export function checkAccess(access: Access, caller: Caller, config: Config): void {
  const rule = ACCESS[access]
  if (seesAll(rule, caller) || isOwner(rule, caller)) return
  if (caller.isOnThisMachine === true && rule.ownMachine === true) return
  const isKnownByAddress = caller.kind !== 'proxied' && caller.kind !== 'web-page'
  const address = caller.isAddressOfProxy === true ? '' : caller.address
  if (rule.networks !== undefined && isKnownByAddress && rule.networks(config).contains(address)) return
  throw refusal(rule, caller)
}

/** The part of a group of routes that a caller sees: everything, or what belongs to one node. */
export type AccessScope = { readonly kind: 'all' } | { readonly kind: 'own'; readonly id: string }

/**
 * How much of a group with `own` callers one sees that {@link checkAccess} has admitted.
 * @throws {RelayError} FORBIDDEN
 */
export function scopeOf(access: Access, caller: Caller): AccessScope {
  const rule = ACCESS[access]
  if (seesAll(rule, caller)) return { kind: 'all' }
  if (isOwner(rule, caller)) return { kind: 'own', id: caller.id }
  throw refusal(rule, caller)
}

/** The refusal of what a caller may not see in a group that it may use. */
export function outOfScope(access: Access, caller: Caller): RelayError {
  return refusal(ACCESS[access], caller)
}

function seesAll(rule: Rule, caller: Caller): boolean {
  return rule.kinds.includes(caller.kind) || (caller.isAdmin === true && rule.kinds.includes('admin'))
}

function isOwner(rule: Rule, caller: Caller): caller is Caller & { readonly id: string } {
  return caller.id !== undefined && rule.own?.includes(caller.kind) === true
}

function refusal(rule: Rule, caller: Caller): RelayError {
  const who = caller.id === undefined ? WHO[caller.kind] : `${WHO[caller.kind]} ${caller.id}`
  const remedy = caller.kind === 'web-page' ? PAGE_REMEDY : rule.remedy
  const proxy = caller.kind === 'proxied' ? PROXY_REMEDY : ''
  return new RelayError('FORBIDDEN', `not allowed for ${who} at ${caller.address}: ${remedy}${proxy}`)
}
