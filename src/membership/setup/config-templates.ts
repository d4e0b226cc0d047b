import { hostAndPort } from '../../network/host-and-port.js'
import type { DataFolders } from './data-folders.js'
import { FILES } from './member-folder.js'

/** The address at which a relay takes connections. */
export interface PublicAddress {
  readonly hostname: string
  readonly port: number
}

/** The policy server of one that joined. */
export interface UpstreamText extends PublicAddress {
  readonly nodeId: string
}

export interface RelayText {
  readonly id: string
  /** The address for callers on this machine, `host:port`. */
  readonly listen: string
  /** The port for all others. */
  readonly port: number
  /** Undefined at the root. */
  readonly upstream: UpstreamText | undefined
  readonly data: DataFolders
  /** The command that runs the agent of its machine. */
  readonly command: string
  /** Whether its nodes are those of a tree that existed before: they have no agents that hold links. */
  readonly isTakenOver?: boolean
}

/** Nodes that were there before can be run in no other way until they join; without it a run on them would reach nobody. */
const NODES_WITHOUT_LINKS = [
  '# Nodes that were taken over hold no link until they join: the command runs them, as root, as it did before. Set both to',
  '# false once all have joined: then a node that is away is unreachable, and not done by the command in its place.'
]

/** `main.conf` of a root (without `upstream`), or of a relay that joined. */
export function mainConf(relay: RelayText): string {
  const { id, listen, port, upstream, data, command, isTakenOver = false } = relay
  const general = [
    `node_id = ${JSON.stringify(id)}`,
    `listen = ${JSON.stringify(listen)}`,
    `https_listen = "0.0.0.0:${port}"`,
    `https_certificate_file = "${FILES.certificate}"`,
    `https_key_file = "${FILES.tlsKey}"`,
    `https_port = ${port}`,
    'peer_authentication = "cert_validation"',
    `ca_path = "${FILES.ca}"`
  ]
  const above =
    upstream === undefined
      ? []
      : [
          ...section('output.upstream', [
            `host = ${JSON.stringify(formatAddress(upstream))}`,
            `node_id = ${JSON.stringify(upstream.nodeId)}`,
            `server_certificate_file = "${FILES.policyServer}"`
          ]),
          ...section('links', ['dial = true'])
        ]
  return [
    ...section('general', general),
    ...section('tree', [`source = "${upstream === undefined ? 'members' : 'policy-server'}"`]),
    ...above,
    ...section('remote_run', [
      `command = ${JSON.stringify(command)}`,
      'own_arguments = ["agent", "run"]',
      ...(isTakenOver ? NODES_WITHOUT_LINKS : []),
      `use_sudo = ${isTakenOver}`,
      `fallback_command = ${isTakenOver}`
    ]),
    ...section('storage', [`path = ${JSON.stringify(data.setting(data.storage))}`]),
    ...section('shared_files', [`path = ${JSON.stringify(data.setting(data.sharedFiles))}`]),
    ...section('shared_folder', [`path = ${JSON.stringify(data.setting(data.sharedFolder))}`])
  ].join('\n')
}

export interface AgentText {
  readonly id: string
  readonly upstream: UpstreamText
  readonly data: DataFolders
  readonly command: string
}

/** `agent.conf` of a node that joined. */
export function agentConf({ id, upstream, data, command }: AgentText): string {
  return [
    `node_id = ${JSON.stringify(id)}`,
    `certificate_file = "${FILES.certificate}"`,
    `key_file = "${FILES.tlsKey}"`,
    `signing_key_file = "${FILES.signingKey}"`,
    '',
    ...section('upstream', [
      `host = ${JSON.stringify(formatAddress(upstream))}`,
      `node_id = ${JSON.stringify(upstream.nodeId)}`,
      `ca_file = "${FILES.ca}"`
    ]),
    ...section('storage', [`path = ${JSON.stringify(data.setting(data.storage))}`]),
    ...section('agent', [`command = ${JSON.stringify(command)}`])
  ].join('\n')
}

export const LOGGING_CONF = section('general', ['level = "info"']).join('\n')

export function formatAddress({ hostname, port }: PublicAddress): string {
  return hostAndPort(hostname, port)
}

function section(name: string, lines: readonly string[]): string[] {
  return [`[${name}]`, ...lines, '']
}
