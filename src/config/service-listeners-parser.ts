import { CLIENT_KEY_RULE, isClientKey } from '../keys/tokens/client-key.js'
import type { Config, ServiceListenerConfig } from './config.js'
import { listenAddress } from './readers/address-readers.js'
import type { Section } from './readers/section.js'
import { flag, pathFrom, type ValueReader } from './readers/value-readers.js'

/** Sections `[[service_listener]]`, at most. */
export const MAX_SERVICE_LISTENERS = 64

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*$/

const clientKey: ValueReader<string> = {
  expected: `the key of a service: ${CLIENT_KEY_RULE}`,
  parse: raw => (typeof raw === 'string' && isClientKey(raw) ? raw : undefined)
}

const hostSuffix: ValueReader<string> = {
  expected: 'a host name, such as "services.example.com"',
  parse: raw => (typeof raw === 'string' && HOST_NAME.test(raw.toLowerCase()) ? raw.toLowerCase() : undefined)
}

/** Reads every `[[service_listener]]`. */
export function readServiceListeners(
  main: Section,
  general: Config['general'],
  directory: string
): ServiceListenerConfig[] {
  return main.sections('service_listener', MAX_SERVICE_LISTENERS).flatMap(section => {
    const listen = section.required('listen', listenAddress)
    const listener = {
      tls: section.read('tls', flag, true),
      fixed: section.optional('fixed', clientKey),
      suffix: section.optional('suffix', hostSuffix),
      serverNames: readServerNames(section.section('server_names')),
      certificateFile: section.optional('certificate_file', pathFrom(directory)),
      keyFile: section.optional('key_file', pathFrom(directory))
    }
    checkDestination(section, listener)
    checkCertificate(section, listener, general)
    return listen === undefined ? [] : [{ listen, ...listener }]
  })
}

function readServerNames(section: Section): ReadonlyMap<string, string> {
  const keys = new Map<string, string>()
  for (const name of section.keys()) {
    const key = section.optional(name, clientKey)
    if (!HOST_NAME.test(name.toLowerCase())) section.problem(name.slice(0, 80), 'expected a host name as the key')
    else if (key !== undefined) keys.set(name.toLowerCase(), key)
  }
  return keys
}

function checkDestination(section: Section, listener: Omit<ServiceListenerConfig, 'listen'>): void {
  const hasNames = listener.suffix !== undefined || listener.serverNames.size > 0
  if (section.raw('fixed') !== undefined) {
    if (hasNames)
      section.problem('fixed', 'leads to one service, and suffix or server_names to others: keep one of them')
  } else if (!listener.tls) section.problem('fixed', 'missing: without TLS a listener leads to one service')
}

function checkCertificate(
  section: Section,
  { tls, certificateFile, keyFile }: Omit<ServiceListenerConfig, 'listen'>,
  general: Config['general']
): void {
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    const missing = certificateFile === undefined ? 'certificate_file' : 'key_file'
    section.problem(missing, 'missing: a certificate and its key go together')
  } else if (tls && certificateFile === undefined && general.httpsCertificateFile === undefined) {
    section.problem('tls', 'needs certificate_file and key_file, or those of general.https_certificate_file')
  }
}
