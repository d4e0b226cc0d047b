import type { Config } from './config.js'
import { listenAddress } from './readers/address-readers.js'
import type { Section } from './readers/section.js'
import { networks } from './readers/value-readers.js'

const LOOPBACK_NETWORKS = ['127.0.0.0/8', '::1/128']

/** Reads `[services]`. */
export function readServices(section: Section, { httpsCertificateFile }: Config['general']): Config['services'] {
  const httpsListen = section.optional('https_listen', listenAddress)
  if (httpsListen !== undefined && httpsCertificateFile === undefined) {
    section.problem('https_listen', 'needs general.https_certificate_file and general.https_key_file')
  }
  return {
    listen: section.optional('listen', listenAddress),
    httpsListen,
    allowedNetworks: section.read('allowed_networks', networks, LOOPBACK_NETWORKS)
  }
}
