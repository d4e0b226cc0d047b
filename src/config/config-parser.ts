import { resolve } from 'node:path'
import { whyNotRead } from '../values/failures/file-failure.js'
import { isNodeId, ROOT_ID } from '../values/ids.js'
import { type Config, ConfigError, type ListenAddress } from './config.js'
import { readLinks } from './links-parser.js'
import { parseLogging } from './logging-parser.js'
import { hostAddress, hostNames, listenAddress, neighbourAddress } from './readers/address-readers.js'
import { noticeForeignKeys } from './readers/foreign-keys.js'
import { deepFreeze } from './readers/freeze.js'
import { type Findings, Section } from './readers/section.js'
import { parseTomlTable, problemsOfFile } from './readers/toml-table.js'
import {
  boundedDuration,
  byteSize,
  commandPath,
  duration,
  flag,
  MAX_TIMER_MS,
  networks,
  nodeIdText,
  oneOf,
  pathFrom,
  plainText,
  secretText,
  socketPath,
  texts,
  wholeNumber
} from './readers/value-readers.js'
import { readServiceListeners } from './service-listeners-parser.js'
import { readOwnServices } from './services/service-parser.js'
import { readServices } from './services-parser.js'
import { readSharedFiles, readSharedFolder } from './shared-files-parser.js'
import { placeTreeFiles, readTree } from './tree-parser.js'

/** Gives a text file's content; throws when it cannot be read. */
export type ReadFile = (path: string) => string

const LOOPBACK_ADDRESSES = ['127.0.0.1', '::1']
const MAX_OUTPUT_BYTES = 1024 ** 3

/**
 * The shortest limit for callers and neighbours: a shorter wait would end before anyone looks, which is done once a
 * second.
 */
const SHORTEST_LIMIT_MS = 1_000

/** The largest batch that keeps a command's arguments under 128 KiB, with host names of 255 characters. */
const MAX_BATCH_SIZE = 400

/**
 * Makes a configuration of the two files' texts.
 * @param mainToml `main.conf`
 * @param loggingToml `logging.conf`; undefined when there is none, which means its defaults
 * @param directory from which relative paths count
 * @param readFile for `general.node_id_file` alone
 * @throws {ConfigError} with all problems of both files
 */
export function parseConfig(
  mainToml: string,
  loggingToml: string | undefined,
  directory: string,
  readFile: ReadFile
): Config {
  const findings: Findings = { problems: [], notices: [] }
  const main = new Section('main.conf', '', findings, parseTomlTable('main.conf', mainToml, findings))
  const loggingTable = parseTomlTable('logging.conf', loggingToml ?? '', findings)
  const logging = new Section('logging.conf', '', findings, loggingTable)
  if (loggingToml === undefined) {
    findings.notices.push({ level: 'note', text: 'logging.conf: there is none; the level is "info"' })
  }
  // With a broken file, what its keys lack would only hide the one problem that matters.
  if (findings.problems.length > 0) throw new ConfigError(findings.problems)
  const config: Config = {
    ...readMain(main, directory, readFile),
    logging: parseLogging(logging),
    notices: findings.notices
  }
  noticeForeignKeys(main)
  main.noticeUnknownKeys()
  logging.noticeUnknownKeys()
  if (findings.problems.length > 0)
    throw new ConfigError(problemsOfFile('main.conf', mainToml, findings), findings.notices)
  return deepFreeze(config)
}

function readMain(main: Section, directory: string, readFile: ReadFile): Omit<Config, 'logging' | 'notices'> {
  const general = readGeneral(main.section('general'), directory, readFile)
  const tree = readTree(main.section('tree'), general.nodeId, directory)
  const storage = { path: main.section('storage').read('path', pathFrom(directory), '/var/lib/treeline') }
  return {
    directory: resolve(directory),
    general: placeTreeFiles(main.section('general'), general, tree.source, storage.path),
    tree,
    upstream: readUpstream(main.section('output').section('upstream'), general, directory),
    neighbours: { addresses: readAddresses(main.section('neighbours').section('addresses')) },
    links: readLinks(main.section('links'), general),
    remoteRun: readRemoteRun(main.section('remote_run'), directory),
    sharedFiles: readSharedFiles(main.section('shared_files'), directory),
    sharedFolder: readSharedFolder(main.section('shared_folder'), directory),
    limits: readLimits(main.section('limits')),
    storage,
    services: readServices(main.section('services'), general, directory),
    serviceListeners: readServiceListeners(main, general, directory),
    ownServices: readOwnServices(main, directory),
    metrics: { allowedNetworks: main.section('metrics').read('allowed_networks', networks, []) },
    tokens: readTokens(main.section('tokens'), directory)
  }
}

function readGeneral(section: Section, directory: string, readFile: ReadFile): Config['general'] {
  const path = pathFrom(directory)
  const general: Config['general'] = {
    nodeId: readNodeId(section, directory, readFile),
    nodesListFile: section.read('nodes_list_file', path, '/var/rudder/lib/relay/nodeslist.json'),
    nodesCertsFile: section.read('nodes_certs_file', path, '/var/rudder/lib/ssl/nodescerts.pem'),
    listen: section.read('listen', listenAddress, '127.0.0.1:3030'),
    proxyListen: section.optional('proxy_listen', listenAddress),
    behindProxy: section.read('behind_proxy', flag, false),
    socket: section.optional('socket', socketPath(directory)),
    hostnames: section.read('hostnames', hostNames, []),
    httpsListen: section.optional('https_listen', listenAddress),
    httpsCertificateFile: section.optional('https_certificate_file', path),
    httpsKeyFile: section.optional('https_key_file', path),
    httpsPort: section.read('https_port', wholeNumber(1, 65_535), 443),
    httpsIdleTimeoutMs: section.read('https_idle_timeout', boundedDuration(1, MAX_TIMER_MS), '2s'),
    connectTimeoutMs: section.read('connect_timeout', duration(1, MAX_TIMER_MS), '10s'),
    responseTimeoutMs: section.read('response_timeout', duration(SHORTEST_LIMIT_MS, MAX_TIMER_MS), '1min'),
    peerAuthentication: section.read(
      'peer_authentication',
      oneOf('cert_pinning', 'cert_validation', 'dangerous_none'),
      'cert_pinning'
    ),
    caPath: section.optional('ca_path', path),
    trustedProxies: section.read('trusted_proxies', networks, []),
    maxConnections: section.read('max_connections', wholeNumber(1, 1_000_000), 20_000),
    stopTimeoutMs: section.read('stop_timeout', duration(0, MAX_TIMER_MS), '30s')
  }
  checkHttps(section, general)
  noticeProxies(section, general)
  if (general.peerAuthentication === 'dangerous_none') {
    const text = '"dangerous_none": whoever answers at a neighbour\'s address is believed; for tests only'
    section.notice('warning', 'peer_authentication', text)
  }
  return general
}

function checkHttps(section: Section, general: Config['general']): void {
  const hasCertificate = section.raw('https_certificate_file') !== undefined
  const hasKey = section.raw('https_key_file') !== undefined
  if (hasCertificate !== hasKey) {
    const missing = hasCertificate ? 'https_key_file' : 'https_certificate_file'
    section.problem(missing, 'missing: a certificate and its key go together')
  } else if (general.httpsListen !== undefined && !hasCertificate) {
    section.problem('https_certificate_file', 'missing: https_listen needs https_certificate_file and https_key_file')
  }
}

/** Notes that a proxy in front of `listen` decides who is local there, and only the configuration can say so. */
function noticeProxies(section: Section, general: Config['general']): void {
  const { behindProxy, proxyListen, socket, trustedProxies } = general
  if (behindProxy && socket === undefined) {
    const text = 'nobody is a local caller, so nothing can be administered on this machine: set general.socket'
    section.notice('warning', 'behind_proxy', text)
  }
  if (
    !behindProxy &&
    proxyListen === undefined &&
    LOOPBACK_ADDRESSES.some(address => trustedProxies.contains(address))
  ) {
    const text =
      'a proxy on this machine passes requests on, and whoever it lets come without X-Forwarded-For counts as local: ' +
      'give it general.proxy_listen, or set general.behind_proxy = true, and general.socket for local callers'
    section.notice('warning', 'trusted_proxies', text)
  }
}

/** `node_id`, or else the content of `node_id_file`. */
function readNodeId(section: Section, directory: string, readFile: ReadFile): string {
  const file = section.read('node_id_file', pathFrom(directory), '/opt/rudder/etc/uuid.hive')
  const isWritten = section.raw('node_id') !== undefined
  const id = isWritten ? section.optional('node_id', plainText) : readIdFile(section, file, readFile)
  if (id === undefined || isNodeId(id)) return id ?? ''
  const where = isWritten ? '' : ` in ${file}`
  const rule = 'expected a node id of 1 to 128 characters A-Z a-z 0-9 - _ .'
  section.problem(isWritten ? 'node_id' : 'node_id_file', `${rule}, got ${JSON.stringify(id.slice(0, 80))}${where}`)
  return ''
}

function readIdFile(section: Section, file: string, readFile: ReadFile): string | undefined {
  try {
    return readFile(file).trim()
  } catch (error) {
    section.problem('node_id_file', `${file} cannot be read, and node_id is not set: ${whyNotRead(error)}`)
    return undefined
  }
}

function readUpstream(section: Section, general: Config['general'], directory: string): Config['upstream'] {
  // An existing relay's file may have an empty host at the root.
  const isHostAbsent = section.raw('host') === undefined || section.raw('host') === ''
  const address = isHostAbsent ? undefined : section.optional('host', hostAddress)
  const pinned = section.optional('server_certificate_file', pathFrom(directory))
  const password = section.optional('password', secretText)
  // Without a password there is nothing to log in with, so the existing relay's default name says nothing either.
  const user = section.optional('user', secretText) ?? (password === undefined ? undefined : 'rudder')
  if (general.nodeId === ROOT_ID) return undefined
  if (isHostAbsent) {
    const text = `missing: every relay but "${ROOT_ID}" needs the host name of its policy server, such as rudder.example.com`
    section.problem('host', text)
  }
  return {
    host: address?.host ?? '',
    port: address?.port ?? general.httpsPort,
    nodeId: section.optional('node_id', nodeIdText),
    serverCertificateFile: pinned ?? defaultPinnedFile(general.peerAuthentication),
    user,
    password
  }
}

/** The default file of the pinned certificate: only pinning needs it, so only there it is taken to exist. */
function defaultPinnedFile(mode: Config['general']['peerAuthentication']): string | undefined {
  return mode === 'cert_pinning' ? '/var/rudder/lib/ssl/policy_server.pem' : undefined
}

function readAddresses(section: Section): ReadonlyMap<string, ListenAddress> {
  const addresses = new Map<string, ListenAddress>()
  for (const id of section.keys()) {
    const address = section.optional(id, neighbourAddress)
    if (!isNodeId(id)) section.problem(id.slice(0, 80), 'expected a node id as the key')
    else if (address !== undefined) addresses.set(id, address)
  }
  return addresses
}

function readRemoteRun(section: Section, directory: string): Config['remoteRun'] {
  return {
    enabled: section.read('enabled', flag, true),
    command: section.read('command', commandPath(directory), '/opt/rudder/bin/rudder'),
    useSudo: section.read('use_sudo', flag, true),
    batchSize: section.read('batch_size', wholeNumber(1, MAX_BATCH_SIZE), 1),
    concurrency: section.read('concurrency', wholeNumber(1, 10_000), 64),
    timeoutMs: section.read('timeout', duration(1, MAX_TIMER_MS), '1h'),
    retentionMs: section.read('retention', duration(1), '7days'),
    maxOutputBytes: section.read('max_output', byteSize(1, MAX_OUTPUT_BYTES), 1_048_576),
    fallbackCommand: section.read('fallback_command', flag, true),
    ownArguments: section.optional('own_arguments', texts),
    stderr: section.read('stderr', flag, false),
    allowedNetworks: section.read('allowed_networks', networks, [])
  }
}

function readLimits(section: Section): Config['limits'] {
  return {
    headersTimeoutMs: section.read('headers_timeout', duration(SHORTEST_LIMIT_MS, MAX_TIMER_MS), '10s'),
    metadataTimeoutMs: section.read('metadata_timeout', duration(SHORTEST_LIMIT_MS, MAX_TIMER_MS), '30s'),
    minBytesPerSecond: section.read('min_rate', byteSize(0), 1_024),
    rateWindowMs: section.read('rate_window', duration(SHORTEST_LIMIT_MS, MAX_TIMER_MS), '10s'),
    maxUploads: section.read('max_uploads', wholeNumber(1, 100_000), 512)
  }
}

function readTokens(section: Section, directory: string): Config['tokens'] {
  return {
    adminFile: section.optional('admin_file', pathFrom(directory)),
    clientsFile: section.optional('clients_file', pathFrom(directory))
  }
}
