import { isClientKey } from '../../keys/tokens/client-key.js'
import { climbs } from '../exchange/climbing-path.js'
import type { CallerRequest, ServiceDestination } from './service-entry.js'
import type { ServiceRefusal } from './service-refusal.js'

/** The path below which services are found (contract "links and services", table 1). */
export const SERVICES_PATH = '/v1/relay/'

/** The destination by the path: `/v1/relay/<key>/<path>` leads to `/<path>` of the service, byte for byte. */
export function destinationByPath({ target }: Pick<CallerRequest, 'target'>): ServiceDestination | ServiceRefusal {
  if (!target.startsWith(SERVICES_PATH)) {
    return { status: 404, message: `nothing is served here but ${SERVICES_PATH}<key>/<path>, the services of clients` }
  }
  const end = target.slice(SERVICES_PATH.length).search(/[/?]/)
  const key =
    end === -1 ? target.slice(SERVICES_PATH.length) : target.slice(SERVICES_PATH.length, SERVICES_PATH.length + end)
  if (!isClientKey(key)) return { status: 404, message: 'what follows /v1/relay/ is not the key of a service' }
  const base = SERVICES_PATH + key
  const path = target.slice(base.length)
  if (climbs(path)) return { status: 400, message: 'the path must not contain .. in any spelling' }
  return { key, base, target: path.startsWith('/') ? path : `/${path}` }
}
