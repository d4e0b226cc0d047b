import type { Config } from './config.js'
import { listenAddress } from './readers/address-readers.js'
import type { Section } from './readers/section.js'
import { networks } from './readers/value-readers.js'

const LOOPBACK_NETWORKS = ['127.0.0.0/8', '::1/128']

/** Reads `[services]`. */
export function readServices(section: Section): Config['services'] {
  return {
    listen: section.optional('listen', listenAddress),
    allowedNetworks: section.read('allowed_networks', networks, LOOPBACK_NETWORKS)
  }
}
