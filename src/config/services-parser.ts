import { CLIENT_KEY_RULE, isClientKey } from '../keys/tokens/client-key.js'
import { isKeyPattern } from '../keys/tokens/token-scope.js'
import { isNodeId } from '../values/ids.js'
import type { Config } from './config.js'
import { listenAddress } from './readers/address-readers.js'
import { headerName } from './readers/header-name.js'
import type { Section } from './readers/section.js'
import { byteSize, duration, flag, networks, pathFrom, type ValueReader } from './readers/value-readers.js'

/** Stands for all agents without a line of their own. */
const EVERY_AGENT = '*'
/** Keys of one agent. */
const MAX_AGENT_KEYS = 1_000

/** The longest time for which tokens are taken of which nobody knows whether they were revoked. */
const MIN_OFFLINE_GRACE_MS = 10_000
const MAX_OFFLINE_GRACE_MS = 30 * 24 * 3_600_000
const LOOPBACK_NETWORKS = ['127.0.0.0/8', '::1/128']

/** Each agent may offer any key. */
const ANY_KEY: ReadonlyMap<string, readonly string[]> = new Map([[EVERY_AGENT, ['*']]])

const keyPatterns: ValueReader<readonly string[]> = {
  expected: 'a list of keys of services, each of which may end with *, such as ["builds", "lab-*"]',
  parse: raw =>
    Array.isArray(raw) && raw.length <= MAX_AGENT_KEYS && raw.every(one => typeof one === 'string' && isKeyPattern(one))
      ? raw
      : undefined
}

/** Reads `[services.agent_keys]`. */
function readAgentKeys(services: Section): ReadonlyMap<string, readonly string[]> {
  if (services.raw('agent_keys') === undefined) return ANY_KEY
  const section = services.section('agent_keys')
  const keys = new Map<string, readonly string[]>()
  for (const id of section.keys()) {
    const patterns = section.optional(id, keyPatterns)
    if (id !== EVERY_AGENT && !isNodeId(id)) section.problem(id.slice(0, 80), 'expected a node id as the key, or "*"')
    else if (patterns !== undefined) keys.set(id, patterns)
  }
  return keys
}

const MAX_SEALED_HEADERS = 16

const sealedHeaders: ValueReader<readonly string[]> = {
  expected: `a list of at most ${MAX_SEALED_HEADERS} names of headers, such as ["X-Spinnaker-User"]`,
  parse: raw => {
    if (!Array.isArray(raw) || raw.length > MAX_SEALED_HEADERS) return undefined
    const names = raw.flatMap(item => headerName.parse(item) ?? [])
    return names.length === raw.length ? names.map(name => name.toLowerCase().replaceAll('_', '-')) : undefined
  }
}

/** Reads `[services]`. @param directory from which relative paths count */
export function readServices(
  section: Section,
  { httpsCertificateFile }: Config['general'],
  directory: string
): Config['services'] {
  const httpsListen = section.optional('https_listen', listenAddress)
  if (httpsListen !== undefined && httpsCertificateFile === undefined) {
    section.problem('https_listen', 'needs general.https_certificate_file and general.https_key_file')
  }
  const sealHeaders = section.read('seal_headers', sealedHeaders, [])
  const sealKeyFile = section.optional('seal_key_file', pathFrom(directory))
  if (sealHeaders.length > 0 && section.raw('seal_key_file') === undefined) {
    section.problem('seal_key_file', 'missing: seal_headers needs a file with the key of the seals')
  }
  if (sealHeaders.length === 0 && section.raw('seal_headers') === undefined && sealKeyFile !== undefined) {
    section.problem('seal_headers', 'missing: seal_key_file is for the headers that are named here')
  }
  return {
    offlineGraceMs: section.read('offline_grace', duration(MIN_OFFLINE_GRACE_MS, MAX_OFFLINE_GRACE_MS), '1h'),
    listen: section.optional('listen', listenAddress),
    httpsListen,
    allowedNetworks: section.read('allowed_networks', networks, LOOPBACK_NETWORKS),
    agentKeys: readAgentKeys(section),
    rate: section.read('rate', byteSize(0), 0),
    rates: readRates(section.section('rates')),
    log: section.read('log', flag, false),
    sealHeaders,
    sealKeyFile
  }
}

function readRates(section: Section): ReadonlyMap<string, number> {
  const rates = new Map<string, number>()
  for (const key of section.keys()) {
    const rate = section.optional(key, byteSize(0))
    if (!isClientKey(key)) section.problem(key.slice(0, 80), `expected the key of a service: ${CLIENT_KEY_RULE}`)
    else if (rate !== undefined) rates.set(key, rate)
  }
  return rates
}
