import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts } from './free-ports.js'
import { type CertificateMaterial, makeAgentCertificate } from './pki.js'
import { type RelayProcess, startRelayProcess } from './relay-process.js'

/** A relay of the tree that is to be made. */
export interface RelaySpec {
  readonly id: string
  /** Id of its policy server; its own for the root. */
  readonly under: string
  /** Ids of the nodes that it manages, besides relays. */
  readonly nodes: readonly string[]
  /** Its policy server cannot connect to it: it holds a link instead. */
  readonly byLink?: boolean
  /** Lines for its `main.conf` alone, by section. */
  readonly settings?: Readonly<Record<string, readonly string[]>>
}

export interface TreeOptions {
  /** Everything is written below it. */
  readonly folder: string
  readonly relays: readonly RelaySpec[]
  /** The command that runs an agent: called with `remote run … -- <host>`. */
  readonly agentCommand: string
  /** Lines for `main.conf`, by section: `{ shared_files: ['max_total_size = 1000'] }`. */
  readonly settings?: Readonly<Record<string, readonly string[]>>
  readonly logLevel?: string
  /** Two for each relay, instead of any that are free. */
  readonly ports?: readonly number[]
}

export interface TreeMember {
  readonly id: string
  readonly policyServer: string
  readonly hostname: string
  readonly certificate: CertificateMaterial
  readonly certificateFile: string
  readonly keyFile: string
}

export interface TreeRelay extends TreeMember {
  readonly directory: string
  /** Plain HTTP, for local callers. */
  readonly localUrl: string
  /** TLS, for nodes and relays. */
  readonly url: string
  readonly sharedFilesPath: string
  readonly storagePath: string
  readonly byLink: boolean
}

export interface RelayTree {
  readonly relays: ReadonlyMap<string, TreeRelay>
  /** All nodes, relays among them. */
  readonly members: ReadonlyMap<string, TreeMember>
  relay(id: string): TreeRelay
  member(id: string): TreeMember
  start(id: string, environment?: NodeJS.ProcessEnv): Promise<RelayProcess>
}

/** Writes the keys, certificates, nodes lists and configurations of a tree of relays on loopback. Starts nothing. */
export async function makeRelayTree(options: TreeOptions): Promise<RelayTree> {
  const ports = options.ports ?? (await freePorts(options.relays.length * 2))
  const members = new Map<string, TreeMember>()
  const relays = new Map<string, TreeRelay>()
  await mkdir(options.folder, { recursive: true })
  for (const [index, spec] of options.relays.entries()) {
    const member = await makeMember(options.folder, spec.id, spec.under)
    const relay = {
      ...member,
      directory: join(options.folder, spec.id),
      localUrl: `http://127.0.0.1:${ports[index * 2]}`,
      url: `https://127.0.0.1:${ports[index * 2 + 1]}`,
      sharedFilesPath: join(options.folder, spec.id, 'shared-files'),
      storagePath: join(options.folder, spec.id, 'storage'),
      byLink: spec.byLink === true
    }
    members.set(spec.id, member)
    relays.set(spec.id, relay)
    for (const node of spec.nodes) members.set(node, await makeMember(options.folder, node, spec.id))
  }
  const tree: RelayTree = {
    relays,
    members,
    relay: id => existing(relays, id),
    member: id => existing(members, id),
    start: (id, environment) => startRelayProcess(existing(relays, id).directory, environment)
  }
  for (const { id, settings } of options.relays) {
    await writeRelay(tree, existing(relays, id), withSettings(options, settings))
  }
  return tree
}

function withSettings(options: TreeOptions, own: RelaySpec['settings'] = {}): TreeOptions {
  const settings: Record<string, readonly string[]> = { ...options.settings }
  for (const [section, lines] of Object.entries(own)) settings[section] = [...(settings[section] ?? []), ...lines]
  return { ...options, settings }
}

async function makeMember(folder: string, id: string, policyServer: string): Promise<TreeMember> {
  const hostname = `${id}.example.test`
  const certificate = await makeAgentCertificate({ nodeId: id, hostname, kind: 'rsa' })
  const certificateFile = join(folder, `${id}.cert`)
  const keyFile = join(folder, `${id}.key`)
  await writeFile(certificateFile, certificate.certificatePem)
  await writeFile(keyFile, certificate.privateKeyPem, { mode: 0o600 })
  return { id, policyServer, hostname, certificate, certificateFile, keyFile }
}

/** A relay knows what is below it; the root knows all (contract, "The nodes list"). */
async function writeRelay(tree: RelayTree, relay: TreeRelay, options: TreeOptions): Promise<void> {
  await mkdir(relay.directory, { recursive: true })
  const known = [...tree.members.values()].filter(member => isBelow(tree, member, relay.id) || member.id === relay.id)
  const list = Object.fromEntries(
    known.map(({ id, hostname, policyServer, certificate }) => [
      id,
      { hostname, 'policy-server': policyServer, 'key-hash': certificate.keyHash }
    ])
  )
  await writeFile(join(relay.directory, 'nodeslist.json'), JSON.stringify(list, null, 2))
  const pems = known.map(member => member.certificate.certificatePem)
  await writeFile(join(relay.directory, 'allnodescerts.pem'), pems.join(''))
  await writeFile(join(relay.directory, 'main.conf'), mainConf(tree, relay, options))
  await writeFile(join(relay.directory, 'logging.conf'), `[general]\nlevel = "${options.logLevel ?? 'info'}"\n`)
}

function isBelow(tree: RelayTree, member: TreeMember, relayId: string): boolean {
  if (member.policyServer === relayId) return true
  if (member.policyServer === member.id) return false
  return isBelow(tree, tree.member(member.policyServer), relayId)
}

function mainConf(tree: RelayTree, relay: TreeRelay, options: TreeOptions): string {
  const neighbours = [...tree.relays.values()].filter(
    other => other.policyServer === relay.id && other.id !== relay.id && !other.byLink
  )
  const sections: Record<string, string[]> = {
    general: [
      `node_id = "${relay.id}"`,
      'nodes_list_file = "nodeslist.json"',
      'nodes_certs_file = "allnodescerts.pem"',
      `listen = "${host(relay.localUrl)}"`,
      `https_listen = "${host(relay.url)}"`,
      `https_certificate_file = "${relay.certificateFile}"`,
      `https_key_file = "${relay.keyFile}"`
    ],
    'neighbours.addresses': neighbours.map(other => `"${other.id}" = "${host(other.url)}"`),
    remote_run: [`command = "${options.agentCommand}"`, 'use_sudo = false'],
    shared_files: [`path = "${relay.sharedFilesPath}"`],
    shared_folder: [`path = "${join(relay.directory, 'shared-folder')}"`],
    storage: [`path = "${relay.storagePath}"`]
  }
  if (relay.policyServer !== relay.id) {
    const above = tree.relay(relay.policyServer)
    const upstream = [`host = "${host(above.url)}"`, `server_certificate_file = "${above.certificateFile}"`]
    sections['output.upstream'] = upstream
    if (relay.byLink) sections.links = ['dial = true']
  }
  for (const [name, lines] of Object.entries(options.settings ?? {})) {
    sections[name] = [...(sections[name] ?? []), ...lines]
  }
  return Object.entries(sections)
    .map(([name, lines]) => `[${name}]\n${lines.join('\n')}\n`)
    .join('\n')
}

function host(url: string): string {
  return new URL(url).host
}

function existing<T>(map: ReadonlyMap<string, T>, id: string): T {
  const value = map.get(id)
  if (value === undefined) throw new Error(`no ${id} in the tree`)
  return value
}
