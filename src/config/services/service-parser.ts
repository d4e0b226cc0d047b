import { CLIENT_KEY_RULE, isClientKey } from '../../keys/tokens/client-key.js'
import { ANNOTATIONS_RULE, type Annotations, parseAnnotations } from '../../values/annotations.js'
import type { Section } from '../readers/section.js'
import {
  duration,
  flag,
  MAX_TIMER_MS,
  oneOf,
  pathFrom,
  textReader,
  type ValueReader
} from '../readers/value-readers.js'
import { readServiceCredentials } from './credentials-parser.js'
import type { ServiceConfig } from './service-config.js'
import { protocolProblem, SERVICE_PROTOCOLS } from './service-protocol.js'
import { checkServiceCredentials, readAwsScope, readCluster, serviceType } from './service-types.js'

/** The scheme of a cluster's own address. */
const CLUSTER = { protocol: 'https:' }
/** Sections `[[service]]`, at most. */
export const MAX_OWN_SERVICES = 256

const MAX_URL_CHARS = 2_048

const serviceKey = textReader(CLIENT_KEY_RULE, isClientKey)

const annotations: ValueReader<Annotations> = { expected: ANNOTATIONS_RULE, parse: parseAnnotations }

/** Not shown in messages: a password may have been put into it. */
const baseUrl: ValueReader<string> = {
  expected: `http:// or https://, a host, and perhaps a port and a path, without a user, ? and # (at most ${MAX_URL_CHARS} characters)`,
  isSecret: true,
  parse: raw => (typeof raw === 'string' && isBaseUrl(raw) ? raw : undefined)
}

/** Reads every `[[service]]` of `main.conf` or `agent.conf`. @param directory from which relative paths count */
export function readOwnServices(file: Section, directory: string): ServiceConfig[] {
  const keys = new Set<string>()
  return file.sections('service', MAX_OWN_SERVICES).flatMap(section => {
    const key = section.required('key', serviceKey)
    if (key !== undefined && keys.has(key)) {
      section.problem('key', `there is a service ${key} before this one: a key names one service`)
    }
    if (key !== undefined) keys.add(key)
    const type = section.read('type', serviceType, 'http')
    const cluster = readCluster(section, type, directory)
    const url = type === 'kubernetes' ? section.optional('url', baseUrl) : section.required('url', baseUrl)
    const service = {
      protocol: section.read('protocol', oneOf(...SERVICE_PROTOCOLS), 'http/1.1'),
      annotations: section.read('annotations', annotations, {}),
      keepsHost: section.optional('host', oneOf('keep')) !== undefined,
      responseTimeoutMs: section.optional('response_timeout', duration(1, MAX_TIMER_MS)),
      caFile: section.optional('ca_file', pathFrom(directory)),
      isInsecure: section.read('insecure', flag, false),
      credentials: cluster === undefined ? readServiceCredentials(section, directory) : undefined,
      aws: readAwsScope(section, type),
      isOpsmx: section.read('opsmx', flag, false)
    }
    if (cluster === undefined) checkServiceCredentials(section, type, service.credentials)
    if (url !== undefined) checkTls(section, url, service)
    const problem = protocolProblem(service.protocol, url === undefined ? CLUSTER : new URL(url))
    if (problem !== undefined) section.problem('protocol', problem)
    if (type === 'aws' && service.keepsHost) section.problem('host', 'AWS answers to its own name alone')
    return key === undefined || (url === undefined && cluster === undefined)
      ? []
      : [{ key, type, url, cluster, ...service }]
  })
}

/** Settings of TLS alone would do nothing without it. */
function checkTls(
  section: Section,
  url: string,
  { caFile, isInsecure, credentials }: Pick<ServiceConfig, 'caFile' | 'isInsecure' | 'credentials'>
): void {
  if (!/^https:/i.test(url)) {
    const needsTls = (key: string) => section.problem(key, 'is for https:// alone, and url is http://')
    if (caFile !== undefined) needsTls('ca_file')
    if (isInsecure) needsTls('insecure')
    if (credentials?.type === 'client_certificate') needsTls('credentials')
  } else if (isInsecure) {
    if (caFile !== undefined)
      section.problem('insecure', 'believes any certificate, and ca_file names issuers: keep one')
    section.notice(
      'warning',
      'insecure',
      'whoever answers at the address of the service is believed, and gets its credentials: name the issuer of its certificate in ca_file instead'
    )
  }
}

function isBaseUrl(text: string): boolean {
  if (text.length > MAX_URL_CHARS || !/^https?:\/\/[^?#\\\s]+$/i.test(text) || !URL.canParse(text)) return false
  const { hostname, username, password } = new URL(text)
  return hostname !== '' && username === '' && password === ''
}
