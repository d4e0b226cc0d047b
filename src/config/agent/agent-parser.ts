import { isAbsolute, resolve } from 'node:path'
import { parseKeyHash } from '../../keys/signatures/key-hash.js'
import { isFileId } from '../../values/ids.js'
import { parseTtl } from '../../values/time/ttl.js'
import { ConfigError } from '../config.js'
import { parseLogging } from '../logging-parser.js'
import { hostAddress } from '../readers/address-readers.js'
import { deepFreeze } from '../readers/freeze.js'
import { type Findings, Section } from '../readers/section.js'
import { parseTomlTable, problemsOfFile } from '../readers/toml-table.js'
import {
  byteSize,
  commandPath,
  duration,
  flag,
  MAX_TIMER_MS,
  nodeIdText,
  oneOf,
  pathFrom,
  textReader,
  texts,
  type ValueReader,
  wholeNumber
} from '../readers/value-readers.js'
import { readOwnServices } from '../services/service-parser.js'
import type { AgentConfig, ReceiveConfig, ShareConfig } from './agent-config.js'

const FILE = 'agent.conf'
const MAX_OUTPUT_BYTES = 1024 ** 3
/** The number of entries of `[[agent.receive]]`, and of `[[agent.share]]`. */
const MAX_ENTRIES = 1_000
const OWNER = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\$?(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?$/

/**
 * Makes an agent's configuration of the two files' texts.
 * @param loggingToml undefined when there is none
 * @param directory from which relative paths count
 * @throws {ConfigError} with all problems of both files
 */
export function parseAgentConfig(agentToml: string, loggingToml: string | undefined, directory: string): AgentConfig {
  const findings: Findings = { problems: [], notices: [] }
  const file = new Section(FILE, '', findings, parseTomlTable(FILE, agentToml, findings))
  const logging = new Section('logging.conf', '', findings, parseTomlTable('logging.conf', loggingToml ?? '', findings))
  if (findings.problems.length > 0) throw new ConfigError(findings.problems)
  const agent = file.section('agent')
  const path = pathFrom(directory)
  const keyFile = file.required('key_file', path)
  const config: AgentConfig = {
    directory: resolve(directory),
    nodeId: file.required('node_id', nodeIdText) ?? '',
    certificateFile: file.required('certificate_file', path) ?? '',
    keyFile: keyFile ?? '',
    signingKeyFile: file.optional('signing_key_file', path) ?? keyFile ?? '',
    upstream: readUpstream(file.section('upstream'), directory),
    storage: { path: file.section('storage').read('path', path, '/var/lib/treeline-agent') },
    agent: readAgent(agent, directory),
    receive: agent.sections('receive', MAX_ENTRIES).map(entry => readReceive(entry)),
    share: agent.sections('share', MAX_ENTRIES).map(entry => readShare(entry)),
    ownServices: readOwnServices(file, directory),
    logging: parseLogging(logging),
    notices: findings.notices
  }
  file.noticeUnknownKeys()
  logging.noticeUnknownKeys()
  if (findings.problems.length > 0) {
    throw new ConfigError(problemsOfFile(FILE, agentToml, findings), findings.notices)
  }
  return deepFreeze(config)
}

function readUpstream(section: Section, directory: string): AgentConfig['upstream'] {
  const address = section.required('host', hostAddress)
  const serverCertificateFile = section.optional('server_certificate_file', pathFrom(directory))
  const caFile = section.optional('ca_file', pathFrom(directory))
  if (serverCertificateFile !== undefined && caFile !== undefined) {
    section.problem('ca_file', 'give this or server_certificate_file, not both: a pinned certificate needs no issuer')
  }
  const tlsCertificate = section.read('tls_certificate', flag, false)
  return {
    host: address?.host ?? '',
    port: address?.port ?? 443,
    nodeId: section.optional('node_id', nodeIdText),
    serverCertificateFile,
    caFile,
    tlsCertificate,
    lane: section.read('lane', oneOf('auto', 'websocket'), 'auto')
  }
}

function readAgent(section: Section, directory: string): AgentConfig['agent'] {
  return {
    command: section.read('command', commandPath(directory), '/opt/rudder/bin/rudder'),
    arguments: section.read('arguments', texts, ['agent', 'run']),
    useSudo: section.read('use_sudo', flag, false),
    timeoutMs: section.read('timeout', duration(1, MAX_TIMER_MS), '1h'),
    maxOutputBytes: section.read('max_output', byteSize(1, MAX_OUTPUT_BYTES), '1MiB'),
    concurrency: section.read('concurrency', wholeNumber(1, 256), 1),
    whenBusy: section.read('when_busy', oneOf('queue', 'refuse'), 'queue'),
    stopTimeoutMs: section.read('stop_timeout', duration(0, MAX_TIMER_MS), '30s'),
    maxShareBytes: section.read('max_share_size', byteSize(1), '1GiB')
  }
}

function readReceive(section: Section): ReceiveConfig {
  return {
    source: section.required('source', nodeIdText) ?? '',
    fileId: section.required('file_id', fileId) ?? '',
    destination: section.required('destination', absolutePath) ?? '',
    mode: section.optional('mode', fileMode),
    owner: section.optional('owner', owner),
    command: section.optional('command', commandWords),
    sourceKeyHash: section.optional('source_key_hash', keyHash)
  }
}

function readShare(section: Section): ShareConfig {
  return {
    target: section.required('target', nodeIdText) ?? '',
    fileId: section.required('file_id', fileId) ?? '',
    path: section.required('path', absolutePath) ?? '',
    ttl: section.required('ttl', ttl) ?? ''
  }
}

const fileId = textReader('a file id of 1 to 200 characters A-Z a-z 0-9 - _ .', isFileId)
const absolutePath = textReader('a path that begins with /', isAbsolute)
const owner = textReader('user or user:group, names or numbers', text => OWNER.test(text))
const keyHash = textReader('a key hash as in nodeslist.json', text => parseKeyHash(text) !== undefined)
const ttl = textReader('a time to live such as "1day 2hours", or seconds', text => {
  try {
    return parseTtl(text) > 0
  } catch {
    return false
  }
})

const fileMode: ValueReader<number> = {
  expected: 'permissions in octal, such as "0640"',
  parse: raw => (typeof raw === 'string' && /^0?[0-7]{3}$/.test(raw) ? Number.parseInt(raw, 8) : undefined)
}

const commandWords: ValueReader<readonly [string, ...string[]]> = {
  expected: 'a program, or a list of a program and its arguments',
  parse: raw => {
    const [program, ...rest] = texts.parse(typeof raw === 'string' ? [raw] : raw) ?? []
    return program === undefined ? undefined : [program, ...rest]
  }
}
