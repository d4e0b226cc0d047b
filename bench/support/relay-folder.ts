import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CertificateMaterial } from '../../demo/pki.js'
import type { ListedNode } from './generate-nodes-list.js'

/** The settings of a relay in a benchmark; all others have their defaults. */
export interface RelaySetup {
  readonly folder: string
  readonly nodeId: string
  readonly port: number
  readonly nodes: Readonly<Record<string, ListedNode>>
  readonly https?: { readonly port: number; readonly certificate: CertificateMaterial }
  /** Certificates of the nodes that present one. */
  readonly certificates?: readonly CertificateMaterial[]
  readonly upstream?: { readonly port: number; readonly certificate: CertificateMaterial }
  /** Whether it holds a link to its policy server. */
  readonly dials?: boolean
  /** The addresses of sub-relays, by id. */
  readonly neighbours?: Readonly<Record<string, number>>
  /** The command that runs agents. */
  readonly command?: string
  readonly cleanupFrequency?: string
  /** The port for callers of services; 0: none. */
  readonly servicesPort?: number
  /** The lines of `tokens.clients_file`. */
  readonly clientTokens?: string
}

/** Larger than the largest file that a row sends. */
const MAX_BODY_BYTES = 2 * 1024 ** 3

/** Writes a relay's configuration folder. */
export async function writeRelayFolder(setup: RelaySetup): Promise<void> {
  await mkdir(setup.folder, { recursive: true })
  const file = (name: string, content: string) => writeFile(join(setup.folder, name), content)
  await file('nodeslist.json', JSON.stringify(setup.nodes, null, 2))
  await file('allnodescerts.pem', (setup.certificates ?? []).map(one => one.certificatePem).join(''))
  await file('logging.conf', '[general]\nlevel = "error"\n')
  if (setup.https !== undefined) {
    await file('own.pem', setup.https.certificate.certificatePem)
    await file('own.key', setup.https.certificate.privateKeyPem)
  }
  if (setup.upstream !== undefined) await file('policy-server.pem', setup.upstream.certificate.certificatePem)
  if (setup.clientTokens !== undefined) await file('clients', setup.clientTokens)
  await file('main.conf', mainConf(setup))
}

/** A node as it stands in a nodes list. */
export function listedNode(hostname: string, policyServer: string, keyHash?: string): ListedNode {
  return { hostname, 'policy-server': policyServer, ...(keyHash === undefined ? {} : { 'key-hash': keyHash }) }
}

function mainConf(setup: RelaySetup): string {
  const sections: [string, Record<string, unknown>][] = [
    ['general', generalKeys(setup)],
    ['output.upstream', upstreamKeys(setup)],
    [
      'neighbours.addresses',
      Object.fromEntries(Object.entries(setup.neighbours ?? {}).map(([id, port]) => [`"${id}"`, `127.0.0.1:${port}`]))
    ],
    ['remote_run', { command: setup.command ?? '/bin/true', use_sudo: false }],
    [
      'shared_files',
      {
        path: 'shared-files',
        max_body_size: MAX_BODY_BYTES,
        ...(setup.cleanupFrequency === undefined ? {} : { 'cleanup.frequency': setup.cleanupFrequency })
      }
    ],
    ['shared_folder', { path: 'shared-folder' }],
    ['storage', { path: 'state' }],
    ['links', { dial: setup.dials === true }],
    ['services', setup.servicesPort === undefined ? {} : { listen: `127.0.0.1:${setup.servicesPort}` }],
    ['tokens', setup.clientTokens === undefined ? {} : { clients_file: 'clients' }]
  ]
  return sections.flatMap(([name, keys]) => [`[${name}]`, ...Object.entries(keys).map(keyLine), '']).join('\n')
}

function generalKeys(setup: RelaySetup): Record<string, unknown> {
  return {
    node_id: setup.nodeId,
    nodes_list_file: 'nodeslist.json',
    nodes_certs_file: 'allnodescerts.pem',
    listen: `127.0.0.1:${setup.port}`,
    ...(setup.https === undefined
      ? {}
      : {
          https_listen: `127.0.0.1:${setup.https.port}`,
          https_certificate_file: 'own.pem',
          https_key_file: 'own.key'
        })
  }
}

function upstreamKeys(setup: RelaySetup): Record<string, unknown> {
  if (setup.upstream === undefined) return {}
  return { host: `127.0.0.1:${setup.upstream.port}`, server_certificate_file: 'policy-server.pem' }
}

/** Prints a text or a number as JSON, which is TOML as well. */
function keyLine([key, value]: [string, unknown]): string {
  return `${key} = ${JSON.stringify(value)}`
}
